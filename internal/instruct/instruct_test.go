package instruct

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/chat"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/tokenizer"
)

func load(t testing.TB, name string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Load(filepath.Join("..", "tokenizer", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRead reads each format as an array and as lines.
func TestRead(t *testing.T) {
	for _, c := range []struct {
		format Format
		row    string
		want   Row
	}{
		{Alpaca, `{"instruction": "a", "input": "b", "output": "c"}`, Row{Instruction: "a", Input: "b", Output: "c"}},
		{Alpaca, `{"instruction": "a", "input": null, "output": "", "text": 7}`, Row{Instruction: "a"}},
		{Completion, `{"prompt": "a", "completion": "c"}`, Row{Instruction: "a", Output: "c"}},
		{Messages, `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "c"}]}`,
			Row{Messages: []chat.Message{{Role: "user", Content: "a"}, {Role: "assistant", Content: "c"}}}},
		{ShareGPT, `{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "c"}]}`,
			Row{Messages: []chat.Message{{Role: "user", Content: "a"}, {Role: "assistant", Content: "c"}}}},
		{Text, `{"text": "c"}`, Row{Output: "c"}},
	} {
		for name, content := range map[string]string{
			"x.json":  "\ufeff\n[\n" + c.row + ",\n\n" + c.row + "]\n",
			"x.jsonl": "\n\n" + c.row + "\r\n\n" + c.row,
		} {
			f, err := Read(t.Context(), write(t, name, content), Auto)
			if err != nil {
				t.Fatal(err)
			}
			want := []Row{c.want, c.want}
			want[0].Number, want[0].Line, want[1].Number, want[1].Line = 1, 3, 2, 5
			if got := fmt.Sprintf("%+v", f.Rows); f.Format != c.format || got != fmt.Sprintf("%+v", want) {
				t.Errorf("%s %s: %s %s", name, c.row, f.Format, got)
			}
		}
	}
}

// TestReadErrors: a fault is reported with its file and line.
func TestReadErrors(t *testing.T) {
	alpaca := `{"instruction": "a", "output": "c"}`
	for _, c := range []struct{ name, content, want string }{
		{"x.json", "", "the file is empty"},
		{"x.json", "[]", "the file has no rows"},
		{"x.json", "[\n" + alpaca + ",\n{\"instruction\": 7, \"output\": \"c\"}]", `:3:1: "instruction" is 7; want a text`},
		{"x.json", "[\n" + alpaca + ",\n{\"instruction\": \"a\"}]", `:3:1: no key "output"; the row has instruction`},
		{"x.json", "[\n" + alpaca + ",\n7]", ":3:1: the row is not a JSON object"},
		{"x.json", "[\n" + alpaca + "\n" + alpaca + "]", `x.json:3:1: "{" stands where a comma or "]" must be`},
		{"x.json", "[" + alpaca + "] x", "text follows the array"},
		{"x.json", "[" + alpaca + `, {"output": "c"}]`, `x.json:1:39: no key "instruction"`},
		{"x.json", "[" + alpaca + ",\n " + alpaca + `, {"output": "c", "output": "d"}]`,
			`x.json:2:62: the object has the key "output" twice`},
		{"x.json", "[" + alpaca, `x.json:1:36: the text ends before its JSON value is complete`},
		{"x.jsonl", alpaca + "\n" + alpaca[1:], `x.jsonl:2:14: ":" follows the end of the JSON value`},
		{"x.jsonl", alpaca + "\n{\"instruction\": \"a\", \"instruction\": \"b\", \"output\": \"c\"}",
			`x.jsonl:2:34: the object has the key "instruction" twice`},
		{"x.jsonl", "{\"instructions\": \"a\", \"outputs\": \"c\"}",
			`:1: the row has the keys instructions, outputs; want instruction and output, or prompt and completion, or messages, or conversations, or text; did you mean "instruction" by "instructions"?`},
		{"x.jsonl", `{"messages": [{"role": "human", "content": "a"}]}`,
			`message 1 has the role "human"; want system, user, assistant, tool`},
		{"x.jsonl", `{"messages": [{"role": "user", "content": null}]}`, `message 1: "content" is null; want a text`},
		{"x.jsonl", `{"messages": []}`, "messages is not a list of messages"},
		{"x.jsonl", `{"conversations": [{"from": "bot", "value": "a"}]}`,
			`turn 1 is from "bot"; want assistant, chatgpt, gpt, human`},
		{"x.jsonl", `{"text": "` + strings.Repeat("a", maxText+1) + `"}`, `"text" has 1048577 bytes; want at most 1048576`},
		{"x.txt", "\xff", "it is not UTF-8"},
		{"x.json", "PK\x03\x04", "it is not JSON but a zip archive"},
	} {
		_, err := Read(t.Context(), write(t, c.name, c.content), Auto)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "instruct: read ") ||
			!place.IsMistake(err) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60q: error %v\nwant %s", c.content, err, c.want)
		}
	}
}

// TestAlpacaPrompt compares the bytes of the template.
func TestAlpacaPrompt(t *testing.T) {
	tok := load(t, "llama")
	opts := Options{Template: TemplateAlpaca, Cutoff: 4096, EOS: 2}
	for _, c := range []struct {
		row  Row
		want string
	}{
		{Row{Instruction: "Name it.", Input: "x", Output: "y"}, "Below is an instruction that describes a task, paired " +
			"with an input that provides further context. Write a response that appropriately completes the request.\n\n### " +
			"Instruction:\nName it.\n\n### Input:\nx\n\n### Response:\ny"},
		{Row{Instruction: "Name it.", Output: "y"}, "Below is an instruction that describes a task. Write a response " +
			"that appropriately completes the request.\n\n### Instruction:\nName it.\n\n### Response:\ny"},
		{Row{Instruction: "Name it.", Input: " ", Output: ""}, "Below is an instruction that describes a task, paired " +
			"with an input that provides further context. Write a response that appropriately completes the request.\n\n### " +
			"Instruction:\nName it.\n\n### Input:\n \n\n### Response:\n"},
	} {
		list, err := opts.row(tok, Alpaca, c.row)
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.Text(list[0].ids); got != c.want {
			t.Errorf("%q", got)
		}
		if n := len(list[0].ids); list[0].ids[0] != 1 || list[0].ids[n-1] != 2 {
			t.Errorf("ids %v", list[0].ids)
		}
	}
}

// said returns the text of the predicted tokens of a row, special tokens
// included.
func said(tok *tokenizer.Tokenizer, e encoded) string {
	var ids []int32
	for i, id := range e.ids {
		if e.predicted[i] {
			ids = append(ids, id)
		}
	}
	return tok.Decode(ids)
}

// TestCutoff checks the rule of EOS and the supervision at every cutoff around
// the length of a row.
func TestCutoff(t *testing.T) {
	tok := load(t, "llama")
	row := Row{Instruction: "the river ", Output: "carries boats"}
	whole := tok.Encode("the river carries boats", nil, 0).IDs
	prompt := tok.Encode("the river ", nil, 0).IDs
	for cutoff := 2; cutoff <= len(whole)+2; cutoff++ {
		for _, inputs := range []bool{false, true} {
			opts := Options{Template: TemplateNone, Cutoff: cutoff, TrainOnInputs: inputs, EOS: 2}
			list, err := opts.row(tok, Completion, row)
			if err != nil {
				t.Fatal(err)
			}
			e := list[0]
			want := whole[:min(cutoff, len(whole))]
			if cutoff > len(whole) {
				want = append(slices.Clone(whole), 2)
			}
			if !slices.Equal(e.ids, want) || e.cut != (len(whole) > cutoff) {
				t.Errorf("cutoff %d: ids %v, want %v", cutoff, e.ids, want)
			}
			for i, p := range e.predicted {
				if p != (i > 0 && (inputs || i >= commonPrefix(prompt, whole))) {
					t.Errorf("cutoff %d, train_on_inputs %v: token %d is predicted: %v", cutoff, inputs, i, p)
				}
			}
		}
	}
}

// TestMergedBorder: a token that covers the end of the prompt and the start of
// the response is predicted, and counted.
func TestMergedBorder(t *testing.T) {
	tok := load(t, "llama3")
	opts := Options{Template: TemplateNone, Cutoff: 100, EOS: 2}
	f := &File{Path: "x", Format: Completion,
		Rows: []Row{{Line: 1, Instruction: "def:", Output: "\nclass"}, {Line: 2, Instruction: "def:\n", Output: "class"}}}
	r, err := Encode(t.Context(), tok, f, opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Merged != 1 {
		t.Errorf("%d merged rows; the tokenizer has a token for a colon and a line feed", r.Merged)
	}
	ids, predicted := r.At(0)
	if got := said(tok, encoded{ids: ids, predicted: predicted}); !strings.HasPrefix(got, ":\n") ||
		!strings.HasSuffix(got, "class<|im_end|>") {
		t.Errorf("predicted %q", got)
	}
}

// TestEncode packs rows, leaves out those without a predicted token and counts.
func TestEncode(t *testing.T) {
	tok := load(t, "llama")
	long := strings.Repeat("the boats ", 30)
	f := &File{Path: "x.json", Format: Completion, Rows: []Row{
		{Line: 3, Instruction: "a", Output: "b"}, {Line: 4, Instruction: long, Output: "b"},
		{Line: 7, Instruction: "a", Output: long}, {Line: 9, Instruction: "a </s>", Output: ""},
	}}
	r, err := Encode(t.Context(), tok, f, Options{Template: TemplateNone, Cutoff: 20, EOS: 2})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.Index, []int{0, 2, 3}) || !slices.Equal(r.Dropped, []int{1}) || r.CutOff != 1 || r.NoEOS != 1 {
		t.Errorf("%+v", r)
	}
	// Special tokens in a text stay text: the only EOS of the last row is its end.
	ids, _ := r.At(2)
	if n := slices.Index(ids, 2); n != len(ids)-1 {
		t.Errorf("ids %v", ids)
	}
	packed, read, next, cu := r.Targets([]int32{2, 0})
	if len(packed) != int(cu[2]) || len(read) != len(next) || len(cu) != 3 {
		t.Fatalf("%v %v %v %v", packed, read, next, cu)
	}
	for i, at := range read {
		if packed[at+1] != next[i] || slices.Contains(cu, at+1) {
			t.Errorf("row %d predicts %d; the next token is %d", at, next[i], packed[at+1])
		}
	}
	_, err = Encode(t.Context(), tok, &File{Path: "x.json", Format: Completion, Rows: f.Rows[1:2]},
		Options{Template: TemplateNone, Cutoff: 20, EOS: 2})
	if err == nil || !strings.Contains(err.Error(), "no row has a token to predict within 20 tokens") {
		t.Errorf("error %v", err)
	}
}

// TestEncodeText cuts a text into rows that together are the text.
func TestEncodeText(t *testing.T) {
	tok := load(t, "llama")
	text := strings.Repeat("the boats sing. ", 20)
	f := &File{Path: "x.txt", Format: Text, Rows: []Row{{Line: 1, Output: text}}}
	r, err := Encode(t.Context(), tok, f, Options{Cutoff: 16, EOS: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := append(tok.Encode(text, nil, 0).IDs, 2)
	if last := len(r.IDs); r.Len() < 2 || !slices.Equal(r.IDs, want[:last]) || r.Predicts != last-r.Len() {
		t.Errorf("%d rows, %d ids of %d, %d predicted", r.Len(), last, len(want), r.Predicts)
	}
}

// TestEncodeChat: with the model's template only replies are predicted, and the
// end of a turn is.
func TestEncodeChat(t *testing.T) {
	tok := load(t, "llama3")
	tmpl, err := chat.Parse("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}{% " +
		"if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{Template: TemplateChat, Chat: tmpl, Cutoff: 100, EOS: 2}
	for _, format := range []Format{Alpaca, Messages} {
		row := Row{Instruction: "Who", Input: "sails?", Output: "They do."}
		if format == Messages {
			row = Row{Messages: row.messages()}
		}
		list, err := opts.row(tok, format, row)
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.Decode(list[0].ids); got != "<|im_start|>user\nWho\nsails?<|im_end|><|im_start|>assistant\nThey "+
			"do.<|im_end|>" {
			t.Errorf("%s: %q", format, got)
		}
		if got := said(tok, list[0]); got != "They do.<|im_end|>" {
			t.Errorf("%s: predicted %q", format, got)
		}
	}
}

// TestEncodeErrors: a template that does not fit is refused before anything is
// encoded, and BOS is never doubled.
func TestEncodeErrors(t *testing.T) {
	tok := load(t, "llama3")
	doubled, err := chat.Parse("<|end|><|end|>{{ messages[0].content }}")
	if err != nil {
		t.Fatal(err)
	}
	row := []Row{{Line: 5, Instruction: "a", Output: "b"}}
	for _, c := range []struct {
		format Format
		opts   Options
		want   string
	}{
		{Messages, Options{Template: TemplateAlpaca, Cutoff: 9},
			`template "alpaca" does not fit rows of the format messages; want chat`},
		{Alpaca, Options{Template: TemplateNone, Cutoff: 9},
			`template "none" does not fit rows of the format alpaca; want alpaca or chat`},
		{Completion, Options{Template: TemplateChat, Cutoff: 9}, "the model has no chat template"},
		{Completion, Options{Template: TemplateNone, Cutoff: 1}, "the cutoff is 1 token; want at least 2"},
		{Completion, Options{Template: TemplateNone, Cutoff: 9, ParseSpecial: true}, ""},
		{Completion, Options{Template: TemplateChat, Chat: doubled, Cutoff: 9, TrainOnInputs: true}, `x:5: `},
	} {
		_, err := Encode(t.Context(), tok, &File{Path: "x", Format: c.format, Rows: row}, c.opts)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !place.IsMistake(err)) {
			t.Errorf("%s: error %v\nwant %s", c.format, err, c.want)
		}
	}
	rows := []Row{{Line: 5, Instruction: "<|end|>a", Output: "b"}}
	_, err = Encode(t.Context(), tok, &File{Path: "x", Format: Completion, Rows: rows},
		Options{Template: TemplateNone, Cutoff: 9, ParseSpecial: true})
	if err == nil || !strings.Contains(err.Error(), `x:5: the row begins with "<|end|>" twice: <|end|>, <|end|>, a`) {
		t.Errorf("error %v", err)
	}
}

// TestNumpyPermutation compares permutations with those of numpy 2.4.6.
func TestNumpyPermutation(t *testing.T) {
	for _, c := range []struct {
		seed uint64
		n    int
		want []int32
	}{
		{42, 51760, []int32{43475, 17807, 2684, 20139, 1452, 10414, 14740, 42790, 22181, 12593}},
		{7, 10, []int32{8, 0, 7, 1, 3, 6, 2, 4, 5, 9}},
		{123456789012345, 1000, []int32{763, 132, 916, 263, 611, 397, 208, 631, 554, 370}},
		{0, 1, []int32{0}},
	} {
		got := numpyPermutation(c.seed, c.n)
		if !slices.Equal(got[:len(c.want)], c.want) {
			t.Errorf("seed %d, %d rows: %v, want %v", c.seed, c.n, got[:len(c.want)], c.want)
		}
		if s := slices.Sorted(slices.Values(got)); s[0] != 0 || s[len(s)-1] != int32(c.n-1) || len(slices.Compact(s)) != c.n {
			t.Errorf("seed %d: no permutation", c.seed)
		}
	}
	if got := numpyPermutation(42, 51760)[2000:2004]; !slices.Equal(got, []int32{2122, 28688, 6323, 6910}) {
		t.Errorf("the training rows begin %v", got)
	}
}

// TestSplit: both splits divide the rows, and a fraction keeps equal texts
// together.
func TestSplit(t *testing.T) {
	f := &File{Path: "x"}
	for i := range 40 {
		f.Rows = append(f.Rows, Row{Line: i + 1, Instruction: fmt.Sprint(i / 2)})
	}
	for name, split := range map[string]func() (a, b *File, err error){
		"fraction": func() (a, b *File, err error) { return f.SplitFraction(0.25, 3) },
		"numpy":    func() (a, b *File, err error) { return f.SplitNumpy(10, 3) },
	} {
		train, validation, err := split()
		if err != nil {
			t.Fatal(err)
		}
		if len(validation.Rows) != 10 || len(train.Rows) != 30 {
			t.Errorf("%s: %d and %d rows", name, len(train.Rows), len(validation.Rows))
		}
		side := map[string]int{}
		lines := map[int]bool{}
		for s, part := range []*File{train, validation} {
			for _, row := range part.Rows {
				if other, known := side[row.key()]; name == "fraction" && known && other != s {
					t.Errorf("row %d is on both sides", row.Line)
				}
				side[row.key()] = s
				lines[row.Line] = true
			}
		}
		if len(lines) != 40 {
			t.Errorf("%s: %d different rows", name, len(lines))
		}
	}
	if _, _, err := f.SplitNumpy(40, 1); err == nil ||
		!strings.Contains(err.Error(), "40 of its 40 rows for validation leave 0 for training") {
		t.Errorf("error %v", err)
	}
}

// TestLengthGrouped: an epoch visits every row once, its groups are sorted, and
// the longest row is the first.
func TestLengthGrouped(t *testing.T) {
	lengths := make([]int, 1000)
	for i := range lengths {
		lengths[i] = (i*7919)%97 + 1
	}
	lengths[613] = 500
	order := LengthGrouped(1, 0, lengths, 4)
	if order[0] != 613 {
		t.Errorf("the first row is %d of length %d", order[0], lengths[order[0]])
	}
	if s := slices.Sorted(slices.Values(order)); len(slices.Compact(s)) != 1000 {
		t.Error("a row is missing")
	}
	for start := 0; start < 1000; start += 200 {
		for i := start + 2; i < start+200; i++ {
			// The exchange with the longest row changes one place of one group.
			if lengths[order[i]] > lengths[order[i-1]] && lengths[order[i-1]] != 0 && order[i-1] != 613 && i-1 != start {
				t.Errorf("place %d: %d after %d", i, lengths[order[i]], lengths[order[i-1]])
			}
		}
	}
	if slices.Equal(order, LengthGrouped(1, 1, lengths, 4)) || !slices.Equal(order, LengthGrouped(1, 0, lengths, 4)) {
		t.Error("the order does not depend on the epoch, or on more than the arguments")
	}
}

// TestReferenceRun compares rows with those of a reference run of PEFT on
// Alpaca-Cleaned.
func TestReferenceRun(t *testing.T) {
	shared := os.Getenv("LOR2C_SHARED")
	if shared == "" {
		t.Skip("LOR2C_SHARED is not set; it names a folder with data and design/decoder")
	}
	data, err := os.ReadFile(filepath.Join(shared, "design", "decoder", "lora_golden_stories15M_100.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Lengths []int
		Row0    []int32 `json:"ids_row0"`
		Steps   []struct {
			Tokens   int
			Response int `json:"response_tokens"`
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(filepath.Join(shared, "data", "tokenizers", "llama2"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := Read(t.Context(), filepath.Join(shared, "data", "eval", "alpaca", "alpaca_small_2000.json"), Auto)
	if err != nil {
		t.Fatal(err)
	}
	f.Rows = f.Rows[:100]
	r, err := Encode(t.Context(), tok, f,
		Options{Template: TemplateAlpaca, Cutoff: 256, TrainOnInputs: true, EOS: tok.EOS()})
	if err != nil {
		t.Fatal(err)
	}
	if len(golden.Lengths) != 100 || !slices.Equal(r.Lengths(), golden.Lengths) {
		t.Errorf("lengths %v\nwant %v", r.Lengths(), golden.Lengths)
	}
	responses, err := Encode(t.Context(), tok, f, Options{Template: TemplateAlpaca, Cutoff: 256, EOS: tok.EOS()})
	if err != nil || responses.Merged != 0 {
		t.Fatalf("%d merged rows, %v", responses.Merged, err)
	}
	for i, step := range golden.Steps {
		all, reply := 0, 0
		for row := 10 * i; row < 10*i+10; row++ {
			_, p := r.At(row)
			all += len(p) - 1
			_, p = responses.At(row)
			for _, is := range p {
				if is {
					reply++
				}
			}
		}
		if all != step.Tokens || reply != step.Response {
			t.Errorf("step %d: %d predicted tokens, %d of responses; want %d and %d", i+1, all, reply, step.Tokens,
				step.Response)
		}
	}
	if ids, _ := r.At(0); len(golden.Row0) == 0 || !slices.Equal(ids, golden.Row0) {
		t.Errorf("row 0 %v\nwant %v", ids, golden.Row0)
	}
}

// FuzzRead looks for a file that panics, or whose rows cannot be encoded.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`[{"instruction": "a", "input": "b", "output": "c"}]`), "x.json")
	f.Add([]byte("{\"prompt\": \"a\", \"completion\": \"\"}\n"), "x.jsonl")
	f.Add([]byte(`{"messages": [{"role": "user", "content": "a", "x": {}}]}`), "x.jsonl")
	f.Add([]byte(`[{"conversations": [{"from": "gpt", "value": "a"}]}]`), "x.json")
	f.Add([]byte("text"), "x.txt")
	tok := load(f, "llama")
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		if name != "x.json" && name != "x.txt" {
			name = "x.jsonl"
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := Read(t.Context(), path, Auto)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "instruct: read ") || strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("error %q", err)
			}
			return
		}
		template := map[Format]string{Alpaca: TemplateAlpaca, Completion: TemplateNone}[file.Format]
		r, err := Encode(t.Context(), tok, file, Options{Template: template, Cutoff: 9, EOS: 2})
		if err == nil && (r.Len() == 0 || len(r.IDs) != len(r.Predicted)) {
			t.Errorf("%+v", r)
		}
	})
}

// TestOneBOS: a row has BOS once at its start if the tokenizer or the template puts it there, in every form of a
// prompt, and nowhere else.
func TestOneBOS(t *testing.T) {
	source := "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}" +
		"{% if add_generation_prompt %}assistant:{% endif %}"
	bare, err := chat.Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	begins, err := chat.Parse("{{ bos_token }}" + source)
	if err != nil {
		t.Fatal(err)
	}
	row := Row{Instruction: "Who", Input: "sails?", Output: "They do."}
	for _, name := range []string{"llama", "llama-model", "llama-bare", "llama3", "qwen", "smollm"} {
		tok := load(t, name)
		before, _ := tok.Affixes()
		bos := tok.BOS()
		for _, c := range []struct {
			form   string
			format Format
			opts   Options
			want   int
		}{
			{"plain", Completion, Options{Template: TemplateNone}, len(before)},
			{"alpaca", Alpaca, Options{Template: TemplateAlpaca}, len(before)},
			{"chat", Alpaca, Options{Template: TemplateChat, Chat: bare}, 0},
			{"chat with BOS", Alpaca, Options{Template: TemplateChat, Chat: begins}, 1},
		} {
			if bos < 0 {
				c.want = 0
			} else {
				c.opts.ChatOptions.BOS = tok.Token(bos)
			}
			c.opts.Cutoff, c.opts.EOS = 200, tok.EOS()
			list, err := c.opts.row(tok, c.format, row)
			if err != nil {
				t.Fatal(err)
			}
			ids, n := list[0].ids, 0
			for n < len(ids) && bos >= 0 && ids[n] == bos {
				n++
			}
			if n != c.want || bos >= 0 && bos != tok.EOS() && slices.Contains(ids[n:], bos) {
				t.Errorf("%s, %s: the row begins with BOS %d times; want %d: %v", name, c.form, n, c.want, ids)
			}
		}
	}
}
