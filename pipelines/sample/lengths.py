"""Token lengths as quantile grids, measured on public traces (quantiles 0, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9 %).

Azure LLM inference trace 2023: Azure/AzurePublicDataset, CC-BY 4.0 (Patel et al., Splitwise, ISCA 2024).
Mooncake, conversations: kvcache-ai/Mooncake, Apache-2.0 (FAST 2025). RAGPulse: flashserve/RAGPulse, MIT.
Document summaries: microsoft/vidur, MIT. Coding: Aider-AI/aider, Apache-2.0.
Input and output are drawn apart: within a workload the traces show next to no correlation between them.
"""

from pipelines.sample.chance import Grid

AZURE_CHAT_INPUT = Grid((2, 29, 181, 207, 396, 1_020, 1_189, 2_735, 4_083, 4_142, 6_212))
AZURE_CHAT_OUTPUT = Grid((7, 16, 41, 54, 85, 129, 395, 424, 451, 601, 954))
AZURE_CODE_INPUT = Grid((3, 17, 75, 147, 578, 1_469, 2_745, 5_186, 7_302, 7_436, 7_437))
AZURE_CODE_OUTPUT = Grid((6, 6, 6, 7, 9, 13, 24, 55, 90, 252, 824))
CONVERSATION_INPUT = Grid((891, 894, 901, 964, 2_307, 6_909, 15_368, 27_367, 39_552, 85_401, 121_301))
CONVERSATION_OUTPUT = Grid((1, 3, 10, 24, 157, 350, 472, 597, 698, 1_120, 2_000))
RAG_INPUT = Grid((1_052, 1_052, 1_055, 1_111, 2_754, 3_140, 3_437, 3_959, 4_425, 5_439, 6_434))
RAG_OUTPUT = Grid((7, 36, 66, 83, 131, 234, 385, 563, 670, 891, 1_183))
DOCUMENT_INPUT = Grid((1, 73, 749, 1_242, 1_986, 2_730, 3_370, 3_702, 3_813, 3_933, 4_012))
DOCUMENT_OUTPUT = Grid((5, 36, 60, 78, 115, 167, 242, 372, 736, 3_270, 3_845))
CODING_OUTPUT = Grid((0, 0, 0, 27, 106, 252, 424, 699, 925, 1_518, 2_897))
