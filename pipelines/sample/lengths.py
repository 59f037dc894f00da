"""Token lengths as quantile grids, measured on public traces.

Azure LLM inference trace 2023: Azure/AzurePublicDataset, CC-BY 4.0 (Patel et al., Splitwise, ISCA 2024).
Mooncake, conversations: kvcache-ai/Mooncake, Apache-2.0 (FAST 2025). RAGPulse: flashserve/RAGPulse, MIT.
Document summaries: microsoft/vidur, MIT. Coding: Aider-AI/aider, Apache-2.0; the shape of the calls of 2024, stretched to the
p50, p90 and p99 of all calls (320, 1,149 and 3,524 tokens), which had grown longer.
Input and output are drawn apart: within a workload the traces show next to no correlation between them.
"""

from pipelines.sample.chance import Grid

_RANKS = (
    0, 50, 100, 250, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500, 4_000, 4_500, 5_000, 5_500, 6_000, 6_500, 7_000, 7_500,
    8_000, 8_500, 9_000, 9_250, 9_500, 9_750, 9_900, 9_950, 9_990, 10_000,
)  # fmt: skip

AZURE_CHAT_INPUT = Grid((
    2, 16, 29, 120, 181, 207, 372, 387, 396, 403, 414, 703, 984, 1_020, 1_045, 1_071, 1_097, 1_130, 1_189, 1_315, 1_877,
    2_735, 4_075, 4_083, 4_092, 4_142, 4_831, 6_212, 14_050,
), _RANKS)  # fmt: skip
AZURE_CHAT_OUTPUT = Grid((
    7, 14, 16, 28, 41, 54, 67, 77, 85, 91, 96, 103, 113, 129, 151, 177, 217, 384, 395, 400, 411, 424, 430, 451, 522, 601, 644,
    954, 1_000,
), _RANKS)  # fmt: skip
AZURE_CODE_INPUT = Grid((
    3, 12, 17, 44, 75, 147, 232, 385, 578, 770, 938, 1_075, 1_261, 1_469, 1_690, 1_909, 2_164, 2_433, 2_745, 3_193, 3_923,
    5_187, 6_097, 7_315, 7_435, 7_436, 7_436, 7_437, 7_437,
), _RANKS)  # fmt: skip
AZURE_CODE_OUTPUT = Grid((
    6, 6, 6, 6, 6, 7, 7, 8, 9, 9, 10, 11, 12, 13, 14, 16, 18, 20, 24, 29, 39, 55, 69, 90, 145, 252, 361, 831, 1_899,
), _RANKS)  # fmt: skip
CONVERSATION_INPUT = Grid((
    891, 893, 894, 896, 901, 964, 1_261, 1_662, 2_306, 3_263, 4_250, 4_993, 5_870, 6_909, 8_187, 9_570, 11_239, 13_196, 15_368,
    17_869, 21_467, 27_367, 31_521, 39_552, 59_009, 85_401, 100_886, 121_301, 126_195,
), _RANKS)  # fmt: skip
CONVERSATION_OUTPUT = Grid((
    1, 1, 3, 3, 10, 24, 46, 100, 156, 213, 256, 291, 322, 350, 375, 399, 423, 447, 472, 504, 543, 597, 639, 698, 836, 1_120,
    1_570, 2_000, 2_000,
), _RANKS)  # fmt: skip
RAG_INPUT = Grid((
    1_052, 1_052, 1_052, 1_053, 1_055, 1_110, 1_361, 2_019, 2_754, 2_879, 2_962, 3_025, 3_083, 3_139, 3_192, 3_244, 3_300,
    3_364, 3_437, 3_531, 3_694, 3_959, 4_163, 4_425, 4_885, 5_439, 5_800, 6_434, 7_712,
), _RANKS)  # fmt: skip
RAG_OUTPUT = Grid((
    7, 7, 36, 43, 66, 83, 96, 113, 131, 151, 171, 191, 212, 234, 256, 284, 313, 347, 385, 436, 489, 563, 611, 670, 761, 891, 995,
    1_183, 2_183,
), _RANKS)  # fmt: skip
DOCUMENT_INPUT = Grid((
    1, 31, 73, 331, 747, 1_242, 1_564, 1_802, 1_986, 2_150, 2_308, 2_453, 2_596, 2_730, 2_861, 2_996, 3_127, 3_249, 3_370,
    3_490, 3_597, 3_702, 3_759, 3_813, 3_876, 3_934, 3_963, 4_012, 4_054,
), _RANKS)  # fmt: skip
DOCUMENT_OUTPUT = Grid((
    5, 29, 36, 48, 60, 78, 92, 104, 115, 125, 135, 145, 156, 167, 179, 192, 206, 222, 242, 268, 304, 372, 438, 737, 2_508,
    3_273, 3_583, 3_845, 4_056,
), _RANKS)  # fmt: skip
CODING_OUTPUT = Grid((
    1, 1, 1, 1, 1, 34, 62, 103, 135, 177, 217, 251, 284, 320, 371, 423, 481, 564, 638, 764, 907, 1_149, 1_477, 1_879, 2_591,
    3_524, 4_096, 4_096, 4_096,
), _RANKS)  # fmt: skip
