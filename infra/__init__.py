"""Azure as code: Bicep, the data it loads, pipelines, and the programs that release and test an environment."""
