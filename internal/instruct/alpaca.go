package instruct

// The prompts of Alpaca (Taori et al. 2023), with and without an input.
const (
	alpacaWithInput = "Below is an instruction that describes a task, paired with an input that provides further " +
		"context. Write a response that appropriately completes the request.\n\n### Instruction:\n%s\n\n### " +
		"Input:\n%s\n\n### Response:\n"
	alpacaWithout = "Below is an instruction that describes a task. " +
		"Write a response that appropriately completes the request.\n\n### Instruction:\n%s\n\n### Response:\n"
)
