"""Datasets: labels from somebody else's pricer, for train jobs."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import structlog
from fastapi import APIRouter, Form, Request, Response, UploadFile

from app.cost.limits import require_room
from app.datasets import facts, store
from app.http.dependencies import PROBLEMS, mounted
from app.http.schemas import DatasetFacts, DatasetList, DatasetSummary
from app.jobs.ended import delete_dataset as delete_unreferred
from app.settings import Settings
from pricing.specs.base import dump

PATH = "/v1/datasets"
# Most bytes of the boundaries and fields around the file in a multipart body.
ENVELOPE = 1 << 16

router = APIRouter(prefix=PATH, tags=["datasets"], responses=PROBLEMS)


@router.post("", status_code=201, responses={200: {"model": DatasetFacts, "description": "known already"}})
async def import_dataset(
    request: Request, response: Response, file: UploadFile, name: Annotated[str | None, Form(max_length=200)] = None
) -> DatasetFacts:
    """Store a CSV, Parquet or NPZ file of features x, values y and derivatives dydx; equal content has one id."""
    settings: Settings = request.app.state.settings
    # Its numbers as they were sent, and as they are stored.
    require_room(settings.registry, needed=2 * (file.size or 0), least=settings.least_free_disk)

    def imported() -> tuple[facts.StoredDataset, bool]:
        with NamedTemporaryFile() as copy:
            shutil.copyfileobj(file.file, copy)
            copy.flush()
            limits = store.limits_of(settings)
            return store.import_file(Path(copy.name), settings.registry, limits, name=name)

    async with request.app.state.importing:  # one at a time: reading a large file takes several times its memory
        known, new = await asyncio.to_thread(imported)
    if new:
        tell_change(known.dataset, None, "imported")
    response.status_code = 201 if new else 200
    response.headers["Location"] = mounted(request, f"{PATH}/{known.dataset}")
    return DatasetFacts(**dump(known))


@router.get("")
def list_datasets(request: Request) -> DatasetList:
    """Every dataset, the newest first."""
    known = store.catalogue(request.app.state.settings.registry)
    return DatasetList(datasets=[DatasetSummary(**dump(summary)) for summary in known])


@router.get("/{dataset}")
def show_dataset(request: Request, dataset: str) -> DatasetFacts:
    """Rows, inferred Box and statistics of every column."""
    return DatasetFacts(**dump(store.find(request.app.state.settings.registry, dataset)))


@router.delete("/{dataset}", status_code=204)
async def delete_dataset(request: Request, dataset: str) -> None:
    """Delete a dataset that no version and no job refers to; 409 names what does."""
    await delete_unreferred(request.app.state.jobs, request.app.state.settings.registry, dataset)
    tell_change(dataset, "imported", "deleted")


def tell_change(dataset: str, before: str | None, after: str) -> None:
    """Log that a client has brought or deleted a dataset; the line says who by what is bound to the request."""
    structlog.get_logger().info("state changed", what=f"dataset {dataset}", **{"from": before, "to": after})
