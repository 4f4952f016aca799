"""``sobolite jobs``: list, show, watch, cancel, resume, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from app.commands.progress import ProgressMode, ProgressOption, show_progress, stopped_by_hand
from app.commands.terminal import JsonOption, RegistryOption, read_settings, show_json, show_table
from app.cost.work import in_words
from app.jobs.ended import delete_job
from app.jobs.job import Job, State
from app.jobs.queue import LIST_LIMIT, Jobs
from app.specification.jobs import JobKind

app = typer.Typer(help="Train and prune jobs.", no_args_is_help=True)
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]
Answer = TypeVar("Answer")


def ask(registry: Path | None, question: Callable[[Jobs], Awaitable[Answer]]) -> Answer:
    """The answer of the job database."""
    jobs = Jobs(read_settings(registry))
    try:
        return asyncio.run(_await(question(jobs)))
    finally:
        jobs.close()


async def _await(answer: Awaitable[Answer]) -> Answer:
    return await answer


@app.command("list")
def list_jobs(
    state: Annotated[State | None, typer.Option(help="Only jobs in this state.")] = None,
    kind: Annotated[JobKind | None, typer.Option(help="Only jobs of this kind.")] = None,
    model: Annotated[str | None, typer.Option(help="Only jobs that make this model.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LIST_LIMIT, help="Most jobs.")] = LIST_LIMIT,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """The newest jobs first."""
    newest = ask(registry, lambda jobs: jobs.page(limit=limit, state=state, kind=kind, model=model)).jobs
    if as_json:
        show_json([asdict(job) for job in newest])
        return
    show_table(
        ("job", "kind", "state", "step", "progress", "model", "version", "created"),
        [
            (job.id, job.kind, job.state, job.step, f"{job.progress:.0%}", job.model, job.version, job.created_at)
            for job in newest
        ],
    )


@app.command()
def show(job: JobArgument, registry: RegistryOption = None, as_json: JsonOption = False) -> None:
    """One job with the time of each finished step."""
    show_job(ask(registry, lambda jobs: jobs.get(job)), as_json)


@app.command()
def watch(
    job: JobArgument,
    registry: RegistryOption = None,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Follow a job to its end; fails unless it succeeds."""
    with stopped_by_hand(f"job {job} goes on; 'sobolite jobs cancel {job}' stops it and keeps its finished steps"):
        end = ask(registry, lambda jobs: follow(jobs, job, progress))
    show_job(end, as_json)
    if end.state != "succeeded":
        raise typer.Exit(1)


@app.command()
def cancel(job: JobArgument, registry: RegistryOption = None, as_json: JsonOption = False) -> None:
    """Stop a queued or running job; its finished steps are kept."""
    show_job(ask(registry, lambda jobs: jobs.cancel(job)), as_json)


@app.command()
def resume(job: JobArgument, registry: RegistryOption = None, as_json: JsonOption = False) -> None:
    """Queue a cancelled or failed job again, from its last finished step."""
    show_job(ask(registry, lambda jobs: jobs.resume(job)), as_json)


@app.command()
def delete(job: JobArgument, registry: RegistryOption = None) -> None:
    """Delete a job that has ended, with its events and files; the version that it has published stays."""
    root = read_settings(registry).registry
    ask(registry, lambda jobs: delete_job(jobs, root, job))
    typer.echo(f"deleted job {job}")


async def follow(jobs: Jobs, job: str, mode: ProgressMode = "auto") -> Job:
    """Show a job's progress and return the job when it has ended."""
    await jobs.get(job)
    with show_progress(mode) as shown:
        async for event in jobs.events(job):
            if isinstance(event.data, Job):
                shown(event.data.state, event.data.progress)
                return event.data
            shown(event.data.step, event.data.progress)
            if event.data.losses is not None:
                shown.hear(event.data.losses)
    return await jobs.get(job)


def show_job(job: Job, as_json: bool) -> None:
    """Everything that is known of a job."""
    if as_json:
        show_json(asdict(job))
        return
    rows = {**asdict(job), "steps": ", ".join(f"{step.name} {step.seconds:.1f} s" for step in job.steps)}
    rows["estimate"] = None if job.estimate is None else in_words(job.estimate)
    show_table(("job", rows.pop("id")), list(rows.items()))
