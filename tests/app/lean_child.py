"""The app in a process without scikit-learn, SciPy and pyarrow: prints what each page answers, as JSON."""

import importlib.abc
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

HEAVY = ("sklearn", "scipy", "pyarrow", "torch")


class Absent(importlib.abc.MetaPathFinder):
    """Finds nothing of the heavy packages, as where they are not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())

from starlette.testclient import TestClient  # noqa: E402

from app.seeding import second, seed_days  # noqa: E402
from mien.app.live.engine import Engine  # noqa: E402
from mien.app.store.facade import Store  # noqa: E402
from mien.app.web.context import Context  # noqa: E402
from mien.app.web.security import Access  # noqa: E402
from mien.app.web.server import create_app  # noqa: E402
from mien.core.expression import Expression  # noqa: E402
from mien.runtime.recognizer import Recognizer  # noqa: E402

PATHS = (
    *("/", "/consent", "/live", "/recordings", "/recordings/1", "/recordings/2/course.svg", "/recordings/days.svg"),
    *("/advice", "/advice/days.svg", "/upload", "/rooms", "/privacy"),
    *(f"/recordings/1/export.{ending}" for ending in ("csv", "json", "parquet")),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.db"
        seed_days(path, time.time(), [[second(at, Expression.SAD) for at in range(8)]] * 2)
        with Store(path) as store:
            access = Access(host="127.0.0.1", port=8000)
            context = Context(store=store, engine=Engine(Recognizer("tiny", detector="haar")), access=access)
            cookies = {access.cookie: access.session}
            with TestClient(
                create_app(context), base_url=access.origin, cookies=cookies, headers={"origin": access.origin}
            ) as client:
                answers = {path: client.get(path) for path in PATHS}
            context.engine.close()
    json.dump({path: [answer.status_code, answer.text] for path, answer in answers.items()}, sys.stdout)


if __name__ == "__main__":
    main()
