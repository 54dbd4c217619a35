"""Questions: once for each handful of events, a few at a time, the urgent ones first."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pbxapi.cache.peers import questions
from pbxapi.cache.peers.questions import IN_FLIGHT, Questions
from tests.services.waiting import eventually


class Answers:
    """Takes down what was asked; answers while its gate is open."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, key: str) -> None:
        self.asked.append(key)
        await self.gate.wait()


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest_asyncio.fixture
async def queue(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Questions[str]]:
    monkeypatch.setattr(questions, "SETTLE_S", 0.02)
    made: Questions[str] = Questions()
    task = asyncio.create_task(made.run(answers))
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_handful_of_events_is_one_question(queue: Questions[str], answers: Answers) -> None:
    for _ in range(5):
        queue.ask("a")
    queue.ask_later("a")
    await eventually(lambda: answers.asked == ["a"], within_s=1, what="one question")
    queue.ask("a")
    await eventually(lambda: answers.asked == ["a", "a"], within_s=1, what="another")


async def test_an_event_during_the_question_asks_again(
    queue: Questions[str], answers: Answers
) -> None:
    answers.gate.clear()
    queue.ask("a")
    await eventually(lambda: answers.asked == ["a"], within_s=1, what="the question")
    queue.ask("a")
    await eventually(lambda: answers.asked == ["a", "a"], within_s=1, what="the second")


async def test_a_few_at_a_time_and_the_urgent_before_the_others(
    queue: Questions[str], answers: Answers
) -> None:
    answers.gate.clear()
    for number in range(50):
        queue.ask_later(str(number))
        queue.ask_later(str(number))
    await eventually(lambda: len(answers.asked) == IN_FLIGHT, within_s=1, what="all askers ask")
    queue.ask("urgent")
    await asyncio.sleep(3 * questions.SETTLE_S)
    assert answers.asked == [str(number) for number in range(IN_FLIGHT)]
    answers.gate.set()
    await queue.all_asked(2)
    assert answers.asked[IN_FLIGHT] == "urgent"
    assert sorted(answers.asked) == sorted(["urgent", *map(str, range(50))])


async def test_waiting_for_all_ends_in_time(queue: Questions[str], answers: Answers) -> None:
    answers.gate.clear()
    queue.ask_later("a")
    started = asyncio.get_running_loop().time()
    await queue.all_asked(0.05)
    assert asyncio.get_running_loop().time() - started < 1


async def test_without_a_session_nobody_is_asked(queue: Questions[str], answers: Answers) -> None:
    answers.gate.clear()
    for number in range(20):
        queue.ask_later(str(number))
    queue.ask("urgent")
    await eventually(lambda: len(answers.asked) == IN_FLIGHT, within_s=1, what="some are asked")
    queue.clear()
    answers.gate.set()
    await queue.all_asked(1)
    await asyncio.sleep(2 * questions.SETTLE_S)
    assert len(answers.asked) == IN_FLIGHT
    queue.ask_later("after")
    await eventually(lambda: answers.asked[-1] == "after", within_s=1, what="a new one")
