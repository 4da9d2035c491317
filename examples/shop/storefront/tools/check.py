"""What the pipeline checks, on the standard library alone: `python3 tools/check.py lint` and `… test [FILE.xml]`.

The same file stands in every service of the shop.
"""

from __future__ import annotations

import ast
import sys
import time
import unittest
import warnings
from pathlib import Path
from xml.etree import ElementTree

FOLDER = Path(__file__).resolve().parent.parent


def lint() -> int:
    """Compiles every file with warnings as errors, and finds imports that nothing uses. 1 where something was found."""
    warnings.simplefilter("error")
    found = [problem for file in sorted(FOLDER.rglob("*.py")) for problem in _problems(file)]
    print(*found or ["lint: nothing found"], sep="\n")
    return 1 if found else 0


def test(report: Path) -> int:
    """Runs the tests under tests/ and writes their results as JUnit XML. 1 where one failed."""
    sys.path.insert(0, str(FOLDER))
    suite = unittest.defaultTestLoader.discover(str(FOLDER / "tests"), top_level_dir=str(FOLDER))
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=_Timed)
    result = runner.run(suite)
    assert isinstance(result, _Timed)
    report.write_bytes(ElementTree.tostring(result.junit(), encoding="utf-8", xml_declaration=True))
    return 0 if result.wasSuccessful() else 1


class _Timed(unittest.TextTestResult):
    """Keeps what became of each test, and how long it took."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.seconds: dict[str, float] = {}

    def startTest(self, test: unittest.TestCase) -> None:
        self.seconds[test.id()] = -time.perf_counter()
        super().startTest(test)

    def stopTest(self, test: unittest.TestCase) -> None:
        self.seconds[test.id()] += time.perf_counter()
        super().stopTest(test)

    def junit(self) -> ElementTree.Element:
        bad = [("failure", *pair) for pair in self.failures] + [("error", *pair) for pair in self.errors]
        counts = {"tests": len(self.seconds), "failures": len(self.failures), "errors": len(self.errors)}
        root = ElementTree.Element("testsuite", {"name": FOLDER.name, "skipped": str(len(self.skipped))})
        root.attrib.update({key: str(count) for key, count in counts.items()})
        root.set("time", f"{sum(self.seconds.values()):.3f}")
        skipped = {test.id(): reason for test, reason in self.skipped}
        told = {test.id(): (tag, text) for tag, test, text in bad}
        for name in [*self.seconds, *(set(told) - set(self.seconds))]:
            classname, _, method = name.rpartition(".")
            attributes = {"classname": classname, "name": method, "time": f"{self.seconds.get(name, 0):.3f}"}
            case = ElementTree.SubElement(root, "testcase", attributes)
            if name in told:
                tag, text = told[name]
                ElementTree.SubElement(case, tag, {"message": text.strip().splitlines()[-1]}).text = text
            elif name in skipped:
                ElementTree.SubElement(case, "skipped", {"message": skipped[name]})
        return root


def _problems(file: Path) -> list[str]:
    name = file.relative_to(FOLDER)
    try:
        tree = ast.parse(file.read_text("utf-8"), str(name))
        compile(tree, str(name), "exec")
    except (SyntaxError, Warning) as error:
        return [f"{name}: {error}"]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    problems = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and getattr(node, "module", "") != "__future__":
            names = {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            problems += [f"{name}:{node.lineno}: {unused} is imported and not used" for unused in sorted(names - used)]
    return problems


if __name__ == "__main__":
    verb, *rest = sys.argv[1:] or ["lint"]
    sys.exit(test(Path(rest[0] if rest else "test-results.xml")) if verb == "test" else lint())
