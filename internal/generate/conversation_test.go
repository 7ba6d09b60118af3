package generate

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/chat"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/instruct"
)

// conversation returns a chat with the demo decoder, to which it gives a chat template.
func conversation(t *testing.T, template string) *Conversation {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.model"} {
		raw, err := os.ReadFile(filepath.Join("../../demo/decoder", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := json.Marshal(map[string]string{
		"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
		"chat_template": "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	texts, err := Open(Source{Model: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(texts.Close)
	if err := texts.SetTemplate(template); err != nil {
		t.Fatal(err)
	}
	g, err := texts.Load(cpu.Open[float32](1), 200, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Prepare(1, 200); err != nil {
		t.Fatal(err)
	}
	return &Conversation{Texts: texts, Generator: g, MaxNew: 12, Tokens: 200}
}

// TestConversation: a question is answered after the earlier turns, whose tokens are not computed again; the first
// turns are left out when the conversation becomes too long; an interrupt keeps what was written.
func TestConversation(t *testing.T) {
	c := conversation(t, instruct.TemplateChat)
	c.System = "Tell a story"
	for i := range 3 {
		before := c.Generator.Passed()
		shown := ""
		a, err := c.Ask(t.Context(), "Once upon a time", func(part string) { shown += part })
		if err != nil {
			t.Fatal(err)
		}
		if shown != a.Text || a.Text == "" || strings.HasPrefix(a.Text, " ") || a.Tokens != 12 || a.Reason != Length {
			t.Errorf("the answer is %+v, and %q was shown", a, shown)
		}
		if len(c.Turns) != 2*i+2 || c.Turns[2*i+1].Role != "assistant" || c.Turns[2*i+1].Content != a.Text {
			t.Errorf("the conversation is %+v", c.Turns)
		}
		// A token at the end of an answer can be another one in front of the next turn.
		if computed := c.Generator.Passed() - before; i > 0 && computed > a.Prompt/2+a.Tokens+20 {
			t.Errorf("%d tokens are computed for a conversation of %d", computed, a.Prompt)
		}
	}
	fresh := conversation(t, instruct.TemplateChat)
	fresh.System, fresh.Turns = c.System, slices.Clone(c.Turns[:4])
	if a, err := fresh.Ask(t.Context(), "Once upon a time", func(string) {}); err != nil || a.Text != c.Turns[5].Content {
		t.Errorf("without what was kept the answer is %q, %v; with it %q", a.Text, err, c.Turns[5].Content)
	}
	dropped := 0
	for range 6 {
		a, err := c.Ask(t.Context(), "Once upon a time there was", func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		dropped += a.Dropped
	}
	if dropped == 0 || len(c.Turns)+dropped != 18 || c.Messages()[0].Content != "Tell a story" {
		t.Errorf("%d messages were left out and %d are there", dropped, len(c.Turns))
	}
	ctx, cancel := context.WithCancel(t.Context())
	a, err := c.Ask(ctx, "Go on", func(string) { cancel() })
	if err != nil || a.Reason != Interrupted || a.Text == "" || a.Tokens >= 12 {
		t.Errorf("an interrupted answer is %+v, %v", a, err)
	}
	turns := len(c.Turns)
	_, err = c.Ask(t.Context(), strings.Repeat("word ", 200), func(string) {})
	if err == nil || !strings.Contains(err.Error(), "want 1 to 188") || len(c.Turns) != turns {
		t.Errorf("a question that is too long: %v, %d turns", err, len(c.Turns))
	}
}

// TestPrompt: the templates other than that of the model make a text of the last message alone, and a model without a
// chat template is an error.
func TestPrompt(t *testing.T) {
	messages := []chat.Message{{Role: "user", Content: "first"}, {Role: "user", Content: "Say </s>."}}
	for template, want := range map[string]string{
		instruct.TemplateNone: "<s>Say </s> .", instruct.TemplateChat: "user: first\nuser: Say </s>.\nassistant:",
		instruct.TemplateAlpaca: "<s>" + instruct.AlpacaPrompt("Say </s>.", ""),
	} {
		c := conversation(t, template)
		ids, err := c.Texts.Prompt(messages)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Texts.Tokenizer.Decode(ids); strings.ReplaceAll(got, "<s> ", "<s>") != want {
			t.Errorf("template %s gives %q; want %q", template, got, want)
		}
		eos := slices.Contains(ids, c.Texts.Tokenizer.EOS())
		if template != instruct.TemplateNone && eos {
			t.Errorf("template %s makes a control token of what a user wrote", template)
		}
	}
	texts, err := Open(Source{Model: "../../demo/decoder"})
	if err != nil {
		t.Fatal(err)
	}
	defer texts.Close()
	if err := texts.SetTemplate(instruct.TemplateChat); err == nil || !strings.Contains(err.Error(),
		"the model has no chat template") {
		t.Errorf("error is %v", err)
	}
}
