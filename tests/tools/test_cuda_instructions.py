"""Reading machine code: a loop whose body has a short and a long branch, loads and their uses."""

import pytest

LOOP = [
    "S2R R0, SR_TID.X",
    "@P0 BRA `(.L_x_3)",  # nothing to do
    "LDG.E.128 R4, desc[UR6][R2.64]",  # .L_x_1
    "@!P1 BRA `(.L_x_2)",
    "MUFU.RCP R5, R4",
    "FADD R4, R4, R5",
    "MUFU.EX2 R4, R4",  # .L_x_2
    "@P2 BRA `(.L_x_1)",
    "EXIT",  # .L_x_3
]
LABELS = {".L_x_1": 2, ".L_x_2": 6, ".L_x_3": 8}


@pytest.fixture(scope="module")
def cuda_instructions(load_tool):
    return load_tool("cuda_instructions")


@pytest.mark.parametrize("rounds, length", [(0, 3), (1, 7), (3, 15)])
def test_the_shortest_way(cuda_instructions, rounds, length):
    way = cuda_instructions.shortest_way(LOOP, LABELS, {"MUFU.EX2": rounds, "LDG.E.128": rounds})
    assert len(way) == length and way[0] == LOOP[0] and way[-1] == "EXIT"
    assert "MUFU.RCP R5, R4" not in way


def test_what_no_way_has(cuda_instructions):
    with pytest.raises(ValueError, match="no way with"):
        cuda_instructions.shortest_way(LOOP, LABELS, {"MUFU.EX2": 1, "LDG.E.128": 2})


def test_a_use_between_two_loads_makes_the_second_wait(cuda_instructions):
    loads = [
        "LDG.E.128 R4, desc[UR6][R2.64]",
        "IADD3 R8, R9, 0x1, RZ",
        "LDG.E.128 R12, desc[UR6][R8.64]",
        "FADD R4, R4, R12",
    ]
    assert cuda_instructions.loads_in_flight(loads) == 2
    assert cuda_instructions.loads_in_flight([loads[0], "PRMT R1, R7, 0x7632, R1", *loads[1:]]) == 1
