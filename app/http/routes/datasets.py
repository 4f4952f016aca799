"""Datasets: labels from somebody else's pricer, for train jobs."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from app.cost.limits import require_room
from app.datasets import facts, store
from app.errors import InvalidRequest, UnsupportedBody
from app.http.dependencies import PROBLEMS, mounted
from app.http.schemas import DatasetFacts, DatasetList, DatasetSummary
from app.jobs.ended import delete_dataset as delete_unreferred
from app.settings import Settings
from app.specification.client_text import LONGEST_NAME, kept_name
from pricing.specs.base import dump

PATH = "/v1/datasets"
# Most bytes of the boundaries and fields around the file in a multipart body.
ENVELOPE = 1 << 16
MULTIPART = "multipart/form-data"
HOW = "as curl -F file=@labels.csv does"
# What the parser says of a text that does not end.
TOO_LONG = 400, "Part exceeded maximum size"
# Characters of a client's text that are shown.
SHOWN = 80
FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "CSV, Parquet or NPZ"},
        "name": {"type": "string", "maxLength": LONGEST_NAME, "description": "printable; what listings call it"},
    },
}

router = APIRouter(prefix=PATH, tags=["datasets"], responses=PROBLEMS)


@router.post(
    "",
    status_code=201,
    responses={200: {"model": DatasetFacts, "description": "known already"}},
    openapi_extra={"requestBody": {"required": True, "content": {MULTIPART: {"schema": FORM}}}},
)
async def import_dataset(request: Request, response: Response) -> DatasetFacts:
    """Store a CSV, Parquet or NPZ file of features x, values y and derivatives dydx; equal content has one id.

    A name that is given is the dataset's from then on, also where it was known by another.
    """
    settings: Settings = request.app.state.settings
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != MULTIPART:
        raise UnsupportedBody(f"send the file as {MULTIPART}, {HOW}; got {given[:SHOWN] or 'no content type'!r}")
    form = await read_form(request)
    try:
        file, name = parts_of(form)
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
    finally:
        await form.close()
    if new:
        tell_change(known.dataset, None, "imported")
    response.status_code = 201 if new else 200
    response.headers["Location"] = mounted(request, f"{PATH}/{known.dataset}")
    return DatasetFacts(**dump(known))


async def read_form(request: Request) -> FormData:
    """The parts of a multipart body.

    Raises:
        InvalidRequest: a text longer than any that the form has.
        HTTPException: it is no such body, or too large.
    """
    try:
        return await request.form()
    except HTTPException as error:
        if error.status_code != TOO_LONG[0] or TOO_LONG[1] not in error.detail:
            raise
        raise InvalidRequest(
            f"a part without a filename is too long for text; send the file {HOW}", path="file"
        ) from error


def parts_of(form: FormData) -> tuple[UploadFile, str | None]:
    """The file, and the name that it is to have.

    Raises:
        InvalidRequest: a part that is unknown, missing, there twice or of the other kind.
    """
    found: dict[str, UploadFile | str] = {}
    for field, part in form.multi_items():
        if field not in FORM["properties"]:
            raise InvalidRequest(
                f"{field[:SHOWN]!r} is no field of this form; it has file and, optional, name", path=field
            )
        if field in found:
            raise InvalidRequest(f"{field} is there twice; send one a request", path=field)
        found[field] = part
    file, name = found.get("file"), found.get("name")
    if file is None:
        raise InvalidRequest(f"file is missing; send it {HOW}", path="file")
    if isinstance(file, str):
        raise InvalidRequest(f"file is text and no file: its part has no filename; send it {HOW}", path="file")
    if isinstance(name, UploadFile):
        raise InvalidRequest("name is a file; send it as text, without a filename", path="name")
    return file, kept_name(name)


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
