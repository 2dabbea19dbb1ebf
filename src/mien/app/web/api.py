"""The programs' interface: ``POST /v1/read``, with a schema that only grows within its version."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal, cast

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from mien import __version__
from mien.app.law.audit import Action
from mien.app.live.own_files import LARGEST_PICTURE, LARGEST_VIDEO, read_own_file
from mien.app.web.context import context_of
from mien.core.errors import PictureError
from mien.core.face import Frame
from mien.core.policy import Feature
from mien.runtime.recognizer import Recognizer

LARGEST = max(LARGEST_PICTURE, LARGEST_VIDEO)
"""Bytes of a request."""

ARRIVING = 120.0
"""Seconds that a body may take to arrive once it is its turn."""

SCHEMA = 1

router = APIRouter(prefix="/v1")


class ReadingJson(BaseModel):
    """One model's answer for one face."""

    model: str
    expression: str = Field(description="The most probable expression: what the face looks like, not what is felt.")
    confidence: float = Field(description="Its calibrated probability.")
    probabilities: dict[str, float]
    candidates: list[str] = Field(description="What it may well be, most probable first.")
    coverage: float = Field(description="Of the faces that show an expression, the share whose candidates hold it.")
    polarity: str = Field(description="Of the expression; mixed where another polarity is more probable in all.")
    polarities: dict[str, float]
    energy: float = Field(description="Low where the crop looks unlike a face.")


class TrackJson(BaseModel):
    """A face's place in its video."""

    id: int
    since: float
    detected: bool
    smoothed: ReadingJson | None
    held: str | None = Field(description="The expression that stands; null while uncertain.")


class FaceJson(BaseModel):
    """A face that was found."""

    box: list[float] = Field(description="x, y, width, height in pixels.")
    score: float
    landmarks: list[list[float]] | None
    readings: list[ReadingJson] = Field(
        description="Of a video empty where the face is not measurable; of a picture given all the same."
    )
    unmeasurable: str | None = Field(description="Why no reading of the face can be trusted; null where one can.")
    track: TrackJson | None
    turned: int = Field(description="Degrees by which the picture has to be turned clockwise for it to be upright.")


class EventJson(BaseModel):
    """An expression that began or ended, or a cut, which ends every track."""

    kind: str = Field(description="began, ended or cut.")
    track: int | None = Field(description="Null for a cut, like expression and strength.")
    expression: str | None
    time: float
    strength: float | None


class FrameJson(BaseModel):
    """One picture and its faces."""

    source: str | None
    time: float | None = Field(description="Seconds from the video's start; null for a picture.")
    width: int
    height: int
    detector: str
    models: list[str]
    rejected: int = Field(description="Finds that did not look like a face to the model.")
    faces: list[FaceJson]
    events: list[EventJson]


class Answer(BaseModel):
    """What was read."""

    schema_: int = Field(SCHEMA, alias="schema", serialization_alias="schema")
    mien: str
    frames: list[FrameJson] = Field(description="One for a picture; for a video one each `every` seconds.")


class Failure(BaseModel):
    """Why nothing was read."""

    schema_: int = Field(SCHEMA, alias="schema", serialization_alias="schema")
    error: str


_FAILURES: dict[int | str, dict[str, Any]] = {
    400: {"model": Failure, "description": "The body is no picture or video, is damaged, or beyond the limits."},
    403: {
        "model": Failure,
        "description": "No token, a foreign page, a purpose for which no face may be read, or no consent to it.",
    },
    413: {"description": "The body is larger than 100 MB."},
}


@router.post(
    "/read",
    response_model=Answer,
    responses=_FAILURES,
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The bytes of one picture (20 MB, 40 megapixels) or video (100 MB, 120 s).",
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/*", "video/*")},
        },
        "security": [{"token": []}],
    },
)
async def read(
    request: Request,
    every: Annotated[float, Query(ge=0.1, le=60, description="Seconds of a video from one frame to the next.")] = 1.0,
    detector: Annotated[
        Literal["whole"] | None,
        Query(description="`whole` takes each picture for one face that was cut out already, and searches nothing."),
    ] = None,
) -> JSONResponse:
    """Read the expressions of all faces in a picture or video. It is read in memory, and forgotten."""
    return answer(await frames_of(request, every=every, detector=detector))


@router.get("/openapi.json", include_in_schema=False)
def described(request: Request) -> JSONResponse:
    """This interface as OpenAPI."""
    return JSONResponse(openapi(cast(FastAPI, request.app)))


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of what is under ``/v1``."""
    routes = [route for route in router.routes if getattr(route, "include_in_schema", False)]
    document = get_openapi(title="mien", version=str(SCHEMA), description=app.description, routes=routes)
    schemes = {"token": {"type": "http", "scheme": "bearer", "description": "The token of this launch."}}
    document.setdefault("components", {})["securitySchemes"] = schemes
    return document


async def frames_of(request: Request, *, every: float, detector: Literal["whole"] | None = None) -> list[Frame]:
    """Read what is uploaded, one upload at a time, and log that it was; those that wait hold no thread and no body.

    Raises:
        PolicyError: the policy does not allow it.
        ConsentError: no consent covers it, or one that did was paused or taken back while it was read.
    """
    context = context_of(request)
    permission = context.permission(Feature.UPLOAD)
    recognizer = context.engine.recognizer
    if detector is not None:
        recognizer = Recognizer(recognizer.models, detector=detector)

    def check() -> None:
        permission.ask().require()

    await asyncio.to_thread(check)
    async with context.uploading:
        try:
            async with asyncio.timeout(ARRIVING):
                data = await request.body()
        except TimeoutError:
            raise PictureError(f"the upload did not arrive within {ARRIVING:g} s, and others wait: try again") from None
        frames = await asyncio.to_thread(read_own_file, recognizer, data, every=every, check=check)
    await asyncio.to_thread(context.store.log, Action.UPLOADED)
    return frames


def answer(frames: list[Frame]) -> JSONResponse:
    """Frames in the schema of this version."""
    body = {"schema": SCHEMA, "mien": __version__, "frames": [frame.to_dict() for frame in frames]}
    return JSONResponse(body)


def failure(status: int, words: str) -> JSONResponse:
    """An error in the schema of this version."""
    return JSONResponse({"schema": SCHEMA, "error": words}, status_code=status)
