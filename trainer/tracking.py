"""Metrics of finished epochs to MLflow, where a job of Azure ML or somebody else set a tracking server: sweeps choose by them."""

from __future__ import annotations

from collections.abc import Mapping

from trainer.history import History


def report(history: History, environment: Mapping[str, str]) -> bool:
    """Every epoch at its number, so that reporting again after a resume writes the same points. False: nobody asked.

    Unverified against live Azure ML: there the address is azureml://..., which the package azureml-mlflow understands.
    """
    if not environment.get("MLFLOW_TRACKING_URI"):
        return False
    import mlflow

    with mlflow.start_run(run_id=environment.get("MLFLOW_RUN_ID")):
        for number, epoch in enumerate(history.epochs):
            mlflow.log_metrics(dict(epoch), step=number)
    return True
