"""Photos that never train choose between the adapters on the way, and change nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from errors import Stopped
from pipeline.bases import adapter
from pipeline.bases.base import Base
from pipeline.bases.moments import LARGE, SMALL, Moments
from pipeline.photos.record import TrainingPhoto
from pipeline.portraits.generate import generate, plan
from pipeline.portraits.style import load_styles
from pipeline.training import checkpoint
from pipeline.training.choice import Choice, Trials
from pipeline.training.train import Checkpoints, Personalisation, TrainStep, train
from settings import ROOT
from tests.support.nobody import middle, noise_photos
from tests.support.training import SHORT

FIVE = replace(SHORT, steps=5, variants=1)
FOUR = Moments((0.4, 0.6, 0.8, 1.0), portraits=1, margin=0.0)


def chosen(scores: Sequence[float | None], margin: float) -> Choice:
    """The choice after tries with these scores, at steps 1, 2, 3."""
    choice = Choice()
    for step, score in enumerate(scores, start=1):
        choice = choice.after(step, score, str(step).encode(), margin)
    assert choice.adapter == str(choice.step).encode()
    return choice


@pytest.mark.parametrize(
    ("scores", "margin", "step"),
    [
        ([0.40, 0.50], 0.05, 2),
        ([0.52, 0.50], 0.05, 2),
        ([0.56, 0.50], 0.05, 1),
        ([0.50, 0.44, 0.52], 0.05, 3),  # it fell, then rose
        ([0.50, 0.46, 0.44], 0.05, 2),  # each loses little, the last much
        ([0.50, 0.50, 0.49], 0.0, 2),
        ([-1.0, -1.0], 0.05, 2),  # no face anywhere
        ([0.56, None], 0.05, 2),  # could not be tried: it may be as good
        ([None, 0.50], 0.05, 2),
    ],
)
def test_a_later_adapter_is_used_unless_it_is_clearly_worse(
    scores: list[float | None], margin: float, step: int
) -> None:
    assert chosen(scores, margin).step == step


def test_it_is_settled_after_two_tries_in_a_row_without_a_rise() -> None:
    assert not Choice().settled
    assert [chosen([0.5, 0.4, 0.45][:n], 0.0).settled for n in (1, 2, 3)] == [False, False, True]
    assert not chosen([0.5, 0.4, 0.6, 0.55], 0.0).settled


def test_the_last_try_is_at_the_last_step_and_a_small_base_is_never_settled() -> None:
    trials = Trials([], LARGE, lambda _: 0.0, lambda _: None)
    assert trials.ends(200) == [80, 120, 160, 200]
    assert replace(trials, moments=SMALL).ends(199) == [119, 199]
    assert not chosen([0.9, 0.1], SMALL.margin).settled


class Scripted:
    """Gives scores one after the other, and remembers what it was given."""

    def __init__(self, *scores: float | None) -> None:
        self.scores, self.tried, self.told = list(scores), list[bytes](), list[Choice]()

    def __call__(self, adapter: bytes) -> float | None:
        self.tried.append(adapter)
        return self.scores[len(self.tried) - 1]

    def trials(self, held_out: Sequence[TrainingPhoto] = ()) -> Trials:
        return Trials(held_out, FOUR, self, self.told.append)


@pytest.fixture(scope="module")
def photos() -> list[TrainingPhoto]:
    return noise_photos(3)


@pytest.fixture(scope="module")
def plain(base: Base, photos: list[TrainingPhoto]) -> bytes:
    """What a training without trials ends in."""
    return learn(base, photos, None)


def learn(
    base: Base,
    photos: list[TrainingPhoto],
    trials: Trials | None,
    *,
    report: Callable[[TrainStep], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    checkpoints: Checkpoints | None = None,
) -> bytes:
    person = Personalisation(photos[:2], middle, FIVE, 5, trials=trials)
    return train(base, person, report=report, stop=stop, checkpoints=checkpoints)


@pytest.mark.slow
def test_trials_that_paint_change_nothing_in_the_training(
    base: Base, photos: list[TrainingPhoto], plain: bytes
) -> None:
    before, steps = base.fingerprint(), list[TrainStep]()
    shots = plan(list(load_styles(ROOT / "styles").values()), 1, seed=3)

    painted, told = list[bytes](), list[Choice]()

    def paint(adapter: bytes) -> float:
        painted.extend(
            image.tobytes() for _, image in generate(base, adapter, shots, stop=lambda: False)
        )
        return float(len(painted))

    trials = Trials(photos[2:], FOUR, paint, told.append)
    assert learn(base, photos, trials, report=steps.append) == plain
    assert [step.step for step in steps] == [1, 2, 3, 4, 5]
    assert told[-1].scores == {2: 1.0, 3: 2.0, 4: 3.0, 5: 4.0}
    assert told[-1].step == 5
    assert len(set(painted)) == 4
    assert base.fingerprint() == before


@pytest.mark.slow
def test_the_adapter_with_the_best_score_is_the_one_that_was_tried(
    base: Base, photos: list[TrainingPhoto], plain: bytes
) -> None:
    script = Scripted(0.3, 0.6, 0.5, 0.55)
    steps = list[TrainStep]()
    learnt = learn(base, photos, script.trials(), report=steps.append)
    assert learnt == script.tried[1] != plain
    assert [len(steps), script.tried[3]] == [5, plain]
    with adapter.loaded(base, learnt):
        pass
    assert script.told[-1] == Choice({2: 0.3, 3: 0.6, 4: 0.5, 5: 0.55}, 3, learnt)


@pytest.mark.slow
def test_training_ends_early_when_nothing_rises(base: Base, photos: list[TrainingPhoto]) -> None:
    script, steps, kept = Scripted(0.6, 0.5, 0.5), list[TrainStep](), list[bytes]()
    saving = Checkpoints(kept.append)
    learnt = learn(base, photos, script.trials(), report=steps.append, checkpoints=saving)
    assert learnt == script.tried[0]
    assert len(steps) == 4
    assert [checkpoint.parse(data).step for data in kept] == [2, 3]


@pytest.mark.slow
def test_a_training_that_was_cut_off_chooses_the_same(
    base: Base, photos: list[TrainingPhoto]
) -> None:
    scores, held_out = (0.3, 0.6, 0.5, 0.55), photos[2:]
    whole, first, again = Scripted(*scores), Scripted(*scores), Scripted(*scores[2:])
    kept, steps = list[bytes](), list[TrainStep]()
    expected = learn(base, photos, whole.trials(held_out))
    saving = Checkpoints(kept.append)
    trials = first.trials(held_out)
    with pytest.raises(Stopped):  # after two trials, of which the second was the best
        learn(base, photos, trials, checkpoints=saving, stop=lambda: len(kept) == 2)
    resumed = Checkpoints(lambda _: None, resume=kept[-1])
    told = again.trials(held_out)
    assert learn(base, photos, told, report=steps.append, checkpoints=resumed) == expected
    assert again.told[-1] == whole.told[-1]
    assert first.tried + again.tried == whole.tried
    assert steps[0].step == 4


@pytest.mark.slow
def test_one_that_was_cut_off_in_a_trial_tries_that_adapter_again(
    base: Base, photos: list[TrainingPhoto], plain: bytes
) -> None:
    kept, steps = list[bytes](), list[TrainStep]()

    def stopped(_: bytes) -> float:
        raise Stopped

    before = base.fingerprint()
    trials = Trials((), FOUR, stopped, lambda _: None)
    with pytest.raises(Stopped):
        learn(base, photos, trials, checkpoints=Checkpoints(kept.append, 1))
    assert base.fingerprint() == before
    assert [checkpoint.parse(data).step for data in kept] == [1, 2]
    script = Scripted(0.1, 0.2, 0.3, 0.4)
    resumed = Checkpoints(lambda _: None, resume=kept[-1])
    assert learn(base, photos, script.trials(), report=steps.append, checkpoints=resumed) == plain
    assert (steps[0].step, len(script.tried)) == (3, 4)


def test_a_checkpoint_with_other_photos_held_out_is_left_alone(
    base: Base, photos: list[TrainingPhoto]
) -> None:
    def fingerprint(held_out: list[TrainingPhoto]) -> str:
        trials = Scripted().trials(held_out)
        return checkpoint.fingerprint(
            base, Personalisation(photos[:2], middle, FIVE, 5, trials=trials)
        )

    other = replace(photos[2], image=photos[2].image[::-1].copy())
    whole = Personalisation(photos, middle, FIVE, 5)
    told = [fingerprint([]), fingerprint(photos[2:]), fingerprint([other])]
    told.append(checkpoint.fingerprint(base, whole))  # all of them train
    assert len(set(told)) == 4
