"""Plans for this machine: nothing without a GPU, careful after a job that ran short."""

from __future__ import annotations

from pathlib import Path

from pipeline.bases.loading import load_base
from pipeline.bases.plan import Plan
from pipeline.planning.calibration import FILE_NAME
from pipeline.planning.cards import GB
from pipeline.planning.cost import Workload
from pipeline.planning.facts import facts_of_folder
from pipeline.planning.planning import CAREFUL, Measured, Planning, ratios
from pipeline.training.train import recipe_for
from settings import ROOT
from tests.support.planned import KNOWN, planned


def test_a_job_that_ran_short_makes_the_next_plan_careful_and_its_times_are_left_alone() -> None:
    plan = planned("sdxl", 24 * GB)
    found = ratios(plan, Measured(9.0, 9.0, {"train": 1}, stepped_down=True))
    assert found == {"train_bytes": CAREFUL, "generate_bytes": CAREFUL}


def test_other_clothes_are_offered_where_a_large_base_sees_pictures(tmp_path: Path) -> None:
    file = tmp_path / FILE_NAME
    klein = Planning(KNOWN["flux2-klein-4b"], file, [], sees_pictures=True)
    assert klein.ways == ("photo", "dressed", "painted", "both")
    for other in (Planning(KNOWN["sdxl"], file, []), Planning(None, file, [], sees_pictures=True)):
        assert other.ways == ("photo", "painted", "both")


def test_without_a_gpu_the_numbers_are_those_of_the_recipe(tmp_path: Path) -> None:
    mini = ROOT / "models" / "studio-mini"
    assert facts_of_folder(mini) is None
    assert Planning(KNOWN["sdxl"], tmp_path / FILE_NAME, []).plan(Workload(8, 3, 100)) is None
    base = load_base(mini)
    recipe = recipe_for(base, 8)
    plan = base.as_it_is(rank=recipe.rank, steps=recipe.steps, batch=recipe.batch)
    assert plan == Plan(
        resolution=160, rank=16, steps=200, batch=8, micro_batch=8, generation_batch=12
    )
    before = base.fingerprint()
    base.configure(plan)
    assert base.as_it_is(rank=16, steps=200, batch=8) == plan
    assert base.fingerprint() == before
