"""What secrets look like: formats that vendors publish, private keys, and values of high entropy that something calls a secret."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One format. The first group of the expression, or the whole match, is the secret."""

    name: str
    title: str
    severity: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A secret in a text. `line` counts from 1."""

    rule: str
    title: str
    severity: str
    line: int
    value: str


def _rule(name: str, title: str, severity: str, pattern: str) -> Rule:
    return Rule(name=name, title=title, severity=severity, pattern=re.compile(pattern))


RULES = (
    # docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html: unique id prefixes
    _rule("aws-access-key", "AWS access key", "critical", r"(?<![A-Z0-9])((?:AKIA|ASIA)[A-Z2-7]{16})(?![A-Z0-9])"),
    _rule(
        "aws-secret-key", "AWS secret access key", "critical",
        r"(?i)aws.{0,20}secret.{0,40}?[\"'=:\s]([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
    ),
    # github.blog/2021-04-05-behind-githubs-new-authentication-token-formats
    _rule("github-token", "GitHub token", "critical", r"(?<![A-Za-z0-9_])((?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{36,251})(?![A-Za-z0-9])"),
    _rule("github-fine-grained-token", "GitHub token", "critical", r"(github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})(?![A-Za-z0-9])"),
    # learn.microsoft.com: personal access tokens of Azure DevOps since 2024 are 84 characters with AZDO at 77 to 80
    _rule("azure-devops-token", "Azure DevOps token", "critical", r"(?<![A-Za-z0-9])([A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4})(?![A-Za-z0-9])"),
    _rule(
        "azure-devops-token", "Azure DevOps token", "critical",
        r"(?i)(?:azdo|azure[_-]?devops|vsts|ado)[\w-]{0,20}(?:pat|token)[\w-]{0,10}[\"']?\s*[:=]\s*[\"']?([a-z2-7]{52})(?![a-z0-9])",
    ),
    # api.slack.com/authentication/token-types
    _rule("slack-token", "Slack token", "critical", r"(xox[abeoprs]-(?:[0-9A-Za-z]+-)*[0-9A-Za-z]{10,})"),
    _rule("slack-webhook", "Slack webhook", "high", r"(https://hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{20,})"),
)  # fmt: skip

_PRIVATE_KEY = re.compile(
    r"-----BEGIN ((?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?)-----(.{40,20000}?)-----END \1-----", re.DOTALL
)
_BODY = re.compile(r"[A-Za-z0-9+/=]{16,}")
# Found from its key word on, so that a long run of letters is looked at once.
_KEY_WORD = re.compile(r"(?i)password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential")
_ASSIGNED = re.compile(
    r"""([\w.-]{0,40})["']?[ \t]*(?::=|=>|=|:)[ \t]*(?:[rbuf]{0,2})(?P<quote>["'`])([^"'`\s]{16,200})(?P=quote)"""
)
_NAME_BEFORE = re.compile(r"[\w.-]{0,40}\Z")
_NOT_A_VALUE = re.compile(
    r"(?i)\$[({]|[{\\]|^<|>$|%\(|^(?:sha(?:1|256|512)[:-])|^https?://[^:@]*$|example|placeholder|change-?me|your[_-]|xxxx|0000|1234567|^[./~]"
)
_EXAMPLE = re.compile(r"(?i)example")
_WORD_FOR_ONE = re.compile(r"(?i)passw|secret|token|placeholder|change-?me|dummy")
_NAMES_NO_SECRET = re.compile(
    r"(?i)(?:_|-|\.)?(?:name|id|url|uri|path|file|type|kind|digest|hash|public|pattern|regex|expression)$"
)


def hits_in(text: str, *, assigned: bool = True) -> Iterator[Hit]:
    """Every secret in a text by these rules, in no order; one value may come by several rules. `assigned` false: formats alone."""
    yield from _private_keys(text)
    for rule in RULES:
        for found in rule.pattern.finditer(text):
            if not is_placeholder(found[1]):
                line = line_of(text, found.start(1))
                yield Hit(rule=rule.name, title=rule.title, severity=rule.severity, line=line, value=found[1])
    if assigned:
        yield from _assigned(text)


def line_of(text: str, offset: int) -> int:
    """The line, from 1, that holds a character."""
    return text.count("\n", 0, offset) + 1


def is_placeholder(value: str) -> bool:
    """Whether it is plainly no real value: an example, a word for one, or one character over and over."""
    tail = value.rpartition("_")[2].rpartition("-")[2]
    return bool(_EXAMPLE.search(value) or (len(value) < 24 and _WORD_FOR_ONE.search(value))) or len(set(tail)) <= 3


def entropy(text: str) -> float:
    """Shannon's entropy in bits a character."""
    counts = Counter(text)
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts.values()) if text else 0.0


def _private_keys(text: str) -> Iterator[Hit]:
    for found in _PRIVATE_KEY.finditer(text):
        body = "".join(_BODY.findall(found[2].replace("\\n", "\n")))
        if len(body) >= 40 and not is_placeholder(body):
            line = line_of(text, found.start())
            yield Hit(rule="private-key", title="Private key", severity="critical", line=line, value=body)


def _assigned(text: str) -> Iterator[Hit]:
    for word in _KEY_WORD.finditer(text):
        found = _ASSIGNED.match(text, word.end())
        if found is None:
            continue
        before = _NAME_BEFORE.search(text[max(0, word.start() - 40) : word.start()])
        name, value = f"{before[0] if before else ''}{word[0]}{found[1]}", found[3]
        if _NAMES_NO_SECRET.search(name) or _NOT_A_VALUE.search(value) or is_placeholder(value):
            continue
        if entropy(value) >= (3.0 if re.fullmatch(r"[0-9a-fA-F]+", value) else 3.5) and re.search(r"[0-9]", value):
            line = line_of(text, found.start(3))
            yield Hit(
                rule="generic-secret", title=f"Value assigned to {name[-60:]}", severity="high", line=line, value=value
            )
