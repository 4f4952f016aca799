"""``sobolite jobs``: list, show, watch, cancel, resume, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from app.commands.terminal import JsonOption, RegistryOption, progress_bar, read_settings, show_json, show_table
from app.cost.work import in_words
from app.jobs.ended import delete_job
from app.jobs.queue import Job, Jobs, StepProgress

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
def list_jobs(registry: RegistryOption = None, as_json: JsonOption = False) -> None:
    """The newest jobs first."""
    newest = ask(registry, lambda jobs: jobs.list())
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
def watch(job: JobArgument, registry: RegistryOption = None, as_json: JsonOption = False) -> None:
    """Follow a job to its end; fails unless it succeeds."""
    end = ask(registry, lambda jobs: follow(jobs, job))
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


async def follow(jobs: Jobs, job: str) -> Job:
    """Show a job's progress and return the job when it has ended."""
    await jobs.get(job)
    with progress_bar() as bar:
        async for event in jobs.events(job):
            if isinstance(event.data, Job):
                bar(event.data.state, event.data.progress)
                return event.data
            bar(described(event.data), event.data.progress)
    return await jobs.get(job)


def described(event: StepProgress) -> str:
    """The running step, with the loss where a training has told one.

    >>> described(StepProgress(step="label", progress=0.1))
    'label'
    """
    losses = event.losses
    return event.step if losses is None or losses.loss is None else f"{event.step}, loss {losses.loss:.1e}"


def show_job(job: Job, as_json: bool) -> None:
    """Everything that is known of a job."""
    if as_json:
        show_json(asdict(job))
        return
    rows = {**asdict(job), "steps": ", ".join(f"{step.name} {step.seconds:.1f} s" for step in job.steps)}
    rows["estimate"] = None if job.estimate is None else in_words(job.estimate)
    show_table(("job", rows.pop("id")), list(rows.items()))
