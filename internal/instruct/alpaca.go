package instruct

import "fmt"

// The prompts of Alpaca (Taori et al. 2023), with and without an input.
const (
	alpacaWithInput = "Below is an instruction that describes a task, paired with an input that provides further " +
		"context. Write a response that appropriately completes the request.\n\n### Instruction:\n%s\n\n### " +
		"Input:\n%s\n\n### Response:\n"
	alpacaWithout = "Below is an instruction that describes a task. " +
		"Write a response that appropriately completes the request.\n\n### Instruction:\n%s\n\n### Response:\n"
)

// AlpacaPrompt returns the prompt of Alpaca for an instruction and an input, which may be empty.
func AlpacaPrompt(instruction, input string) string {
	if input == "" {
		return fmt.Sprintf(alpacaWithout, instruction)
	}
	return fmt.Sprintf(alpacaWithInput, instruction, input)
}

// DefaultTemplate returns the template of rows of a format for which none is named.
func DefaultTemplate(f Format) string {
	switch f {
	case Alpaca:
		return TemplateAlpaca
	case Completion, Text:
		return TemplateNone
	}
	return TemplateChat
}
