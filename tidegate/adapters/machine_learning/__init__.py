"""Azure Machine Learning: workspaces with their runs, models and artefacts."""
