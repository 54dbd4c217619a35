"""What to ask about which queue, and when."""

import math

from pbxapi.cache.queues.questions import (
    ALL,
    EACH_S,
    LATER_S,
    NONE,
    RETRY_S,
    ROUND_S,
    SHARE,
    SOON_S,
    Ask,
    Question,
    Questions,
)

T = 1000.0
JAN, EVA = frozenset({"SIP/jan"}), frozenset({"SIP/eva"})


def taken(questions: Questions, now: float) -> list[Question]:
    found = []
    while each := questions.take(now):
        found += each
    return found


def test_a_hint_is_asked_about_soon_and_once_more() -> None:
    questions = Questions()
    questions.put(Ask("A", JAN), T)
    assert questions.next_at() == T + SOON_S
    assert taken(questions, T) == []
    assert taken(questions, T + SOON_S) == [Question("A", JAN)]
    assert questions.pending("A")
    assert questions.next_at() == T + LATER_S
    assert taken(questions, T + LATER_S) == [Question("A", JAN)]
    assert not questions.pending("A")
    assert questions.next_at() == math.inf


def test_what_may_wait_is_asked_about_later_only() -> None:
    questions = Questions()
    questions.put(Ask("A", NONE, soon=False), T)
    assert taken(questions, T + SOON_S) == []
    assert taken(questions, T + LATER_S) == [Question("A", NONE)]


def test_hints_that_come_together_are_one_question() -> None:
    questions = Questions()
    for ask in (Ask("A", NONE), Ask("A", JAN), Ask("A", EVA)):
        questions.put(ask, T)
    assert taken(questions, T + SOON_S) == [Question("A", JAN | EVA)]
    questions.put(Ask("A", ALL), T + SOON_S)
    assert taken(questions, T + 2 * SOON_S) == [Question("A", ALL)]


def test_hints_without_end_delay_no_answer_and_one_follows_the_last() -> None:
    questions = Questions()
    asked = []
    now = T
    for _ in range(100):
        now += SOON_S / 4
        questions.put(Ask("A", NONE), now)
        asked += taken(questions, now)
    assert 19 <= len(asked) <= 21
    taken(questions, now + SOON_S)
    assert questions.next_at() == now + LATER_S


def test_the_longest_due_comes_first() -> None:
    questions = Questions()
    questions.put(Ask("B", NONE), T)
    questions.put(Ask("A", NONE), T + 0.001)
    assert [each.queue for each in taken(questions, T + SOON_S * 2)] == ["B", "A"]
    assert [each.queue for each in taken(questions, T + LATER_S * 2)] == ["B", "A"]


def test_an_asterisk_too_slow_for_all_questions_is_asked_one_for_both() -> None:
    questions = Questions()
    questions.put(Ask("A", JAN), T)
    questions.put(Ask("B", NONE), T + 0.001)
    questions.put(Ask("A", EVA, soon=False), T + 0.002)
    assert taken(questions, T + 1) == [Question("A", JAN | EVA), Question("B", NONE)]


def test_so_many_are_taken_together_each_about_another_queue() -> None:
    questions = Questions()
    for number, queue in enumerate("CABCD"):
        questions.put(Ask(queue, NONE), T + number / 1000)
    assert [each.queue for each in questions.take(T + 1, limit=3)] == list("CAB")
    assert [each.queue for each in questions.take(T + 1, limit=3)] == list("D")
    assert questions.take(T + 1, limit=3) == []


def test_a_question_without_an_answer_is_asked_again_after_a_while() -> None:
    questions = Questions()
    questions.retry(Question("A", JAN), T)
    assert taken(questions, T + RETRY_S - 0.1) == []
    assert taken(questions, T + RETRY_S) == [Question("A", JAN)]


def test_without_a_session_nothing_is_due() -> None:
    questions = Questions()
    questions.told_all(["A"], T)
    questions.put(Ask("A", NONE), T)
    questions.forget()
    assert questions.next_at() == math.inf
    assert taken(questions, T + 9) == []
    assert questions.take_round(T + 9) is None


def rounds(questions: Questions, seconds: float, took_s: float = 0.0) -> list[str]:
    """The queues that the slow round asks about in that time."""
    now, asked = T, []
    while (now := max(now, questions.next_at())) < T + seconds:
        question = questions.take_round(now)
        assert question is not None
        assert question.members is ALL
        asked.append(question.queue)
        now += took_s
        questions.told(question, now, exists=True)
        questions.rest(now, took_s)
    return asked


def test_few_queues_are_asked_about_once_in_two_seconds() -> None:
    questions = Questions()
    questions.told_all("ABCD", T)
    assert rounds(questions, ROUND_S * 3 + 0.1) == list("ABCD") * 3


def test_many_queues_are_asked_about_one_after_the_other_slowly() -> None:
    questions = Questions()
    names = [f"queue {number}" for number in range(200)]
    questions.told_all(names, T)
    asked = rounds(questions, 201.5 * EACH_S)
    assert 200 <= len(asked) <= 202
    assert set(asked) == set(names)


def test_a_queue_that_takes_long_to_tell_is_asked_about_less() -> None:
    questions = Questions()
    questions.told_all("A", T)
    assert len(rounds(questions, 60, took_s=0.3)) <= 60 * SHARE / 0.3 + 1


def test_whoever_was_told_whole_meanwhile_has_no_turn_yet() -> None:
    questions = Questions()
    questions.told_all("AB", T)
    questions.told(Question("A", ALL), T + 1, exists=True)
    questions.told(Question("B", NONE), T + 2, exists=True)
    assert questions.take_round(T + 3) == Question("B", ALL)


def test_a_queue_that_is_gone_has_no_turn_and_a_new_one_has() -> None:
    questions = Questions()
    questions.told_all("A", T)
    questions.told(Question("A", ALL), T, exists=False)
    assert questions.take_round(T + 3) is None
    questions.told(Question("B", ALL), T, exists=True)
    assert questions.take_round(T + 3) == Question("B", ALL)
