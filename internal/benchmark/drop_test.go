package benchmark

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// dropFile writes passages in the form of drop_dataset_dev.json and returns its path. Their order in the file counts.
func dropFile(t *testing.T, passages []string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "drop_dataset_dev.json")
	var b strings.Builder
	for i, p := range passages {
		fmt.Fprintf(&b, "%s%q: %s", map[bool]string{true: "{", false: ",\n"}[i == 0], fmt.Sprintf("z%d", len(passages)-i), p)
	}
	if err := os.WriteFile(path, []byte(b.String()+"}"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDropAnswers: numbers, dates and spans of the released form become answers. A question without an answer is left
// out, and instruct-eval leaves out those with different answers too.
func TestDropAnswers(t *testing.T) {
	none := `"date": {"day": "", "month": "", "year": ""}`
	number := `{"number": "7", ` + none + `, "spans": []}`
	date := `{"number": "", "date": {"day": "3", "month": "May", "year": "1808"}, "spans": []}`
	spans := `{"number": "", ` + none + `, "spans": ["red", "blue"]}`
	span := `{"number": "", ` + none + `, "spans": [" red "]}`
	empty := `{"number": "", ` + none + `, "spans": []}`
	pair := func(question, answer string, validated ...string) string {
		return fmt.Sprintf(`{"question": %q, "query_id": "q", "answer": %s, "validated_answers": [%s]}`, question, answer,
			strings.Join(validated, ", "))
	}
	// Without these three, whose answers are equal, there are no examples.
	shots := `{"passage": "P0", "qa_pairs": [` + strings.Join([]string{
		pair("a", number, number), pair("b", number, number, number), pair("c", number, number),
	}, ", ") + `], "wiki_url": "x"}`
	rest := `{"passage": " P1 ", "qa_pairs": [` + strings.Join([]string{
		pair("when?", date, date), pair("colours?", spans, spans), pair("colour?", span, span, `{"spans": ["red"]}`),
		pair("nothing?", empty, empty), pair("which?", number, number, date),
	}, ", ") + `]}`
	path := dropFile(t, []string{shots, rest})
	set, err := Load("drop", path, Options{Protocol: InstructEval, Shots: -1, Own: true})
	if err != nil {
		t.Fatal(err)
	}
	type asked struct {
		row           int
		prompt, label string
	}
	var got []asked
	for _, it := range set.Items {
		got = append(got, asked{it.Row, it.Prompt(0), it.Label})
	}
	asks := []asked{{3, "P1 when?\nAnswer:", "3 May 1808"}, {5, "P1 colour?\nAnswer:", "red"}}
	if !reflect.DeepEqual(got, asks) {
		t.Errorf("instruct-eval asks %+v; want %+v", got, asks)
	}
	prompt := "P0 a\nAnswer: 7\n\nP0 b\nAnswer: 7\n\nP0 c\nAnswer: 7\n\nP1 when?\nAnswer:"
	if got := set.Items[0].Prompt(3); got != prompt {
		t.Errorf("the prompt is %q; want %q", got, prompt)
	}
	set, err = Load("drop", path, Options{Protocol: LMEval, Shots: -1, Own: true})
	if err != nil {
		t.Fatal(err)
	}
	var golds [][][]string
	for _, it := range set.Items {
		golds = append(golds, it.Golds)
	}
	want := [][][]string{
		{{"7"}}, {{"7"}}, {{"7"}}, {{"3 May 1808"}}, {{"red", "blue"}}, {{" red "}, {"red"}}, {{"7"}, {"3 May 1808"}},
	}
	if !reflect.DeepEqual(golds, want) {
		t.Errorf("lm-eval's answers are %q; want %q", golds, want)
	}
}

// TestDropExamples: with a file of the released size, the examples of instruct-eval are the rows that Python's
// random.seed(0) and random.sample(rows, 3) draw, of those with one answer, and no question of their passages is asked.
func TestDropExamples(t *testing.T) {
	var passages []string
	single := 0
	for i := range dropRows {
		answers := []map[string]any{{"number": fmt.Sprint(i)}}
		if i%5 == 0 {
			answers = append(answers, map[string]any{"number": "another"})
		} else {
			single++
		}
		raw, err := json.Marshal(map[string]any{
			"passage": fmt.Sprintf("P%d.", i), "qa_pairs": []any{map[string]any{
				"question": "Q?", "answer": answers[0], "validated_answers": answers,
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		passages = append(passages, string(raw))
	}
	set, err := Load("drop", dropFile(t, passages), Options{Protocol: InstructEval, Shots: -1})
	if err != nil {
		t.Fatal(err)
	}
	// Of five rows, all but the first have one answer.
	row := func(i int) int { return i/4*5 + i%4 + 1 }
	want := ""
	for _, i := range []int{3155, 3445, 331} {
		want += fmt.Sprintf("P%d. Q?\nAnswer: %[1]d\n\n", row(i))
	}
	if got := strings.Join(set.Items[0].Shots, ""); got != want || len(set.Items) != single-3 || set.Data != "" {
		t.Errorf("%d questions of %q with the examples %q; want %d and %q", len(set.Items), set.Data, got, single-3, want)
	}
}
