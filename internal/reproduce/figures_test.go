package reproduce

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/figure"
	"github.com/lor2c/lor2c/internal/sweep"
)

// logged gives each cell of a mini target the lines of its method as its log.
func logged(t *testing.T, target string, lines map[string]string) *Job {
	t.Helper()
	j := plan(t, target, Options{Profile: Mini, Out: t.TempDir()})
	for _, c := range j.Cells {
		method, _, _ := strings.Cut(c.Name, "-")
		if err := os.MkdirAll(j.Dir(c), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(j.Dir(c), "metrics.jsonl"), []byte(lines[method]), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

// wantData compares the data of a written figure, and its label.
func wantData(t *testing.T, paths []string, err error, want string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Caption string
		Data    json.RawMessage
	}
	text, err := os.ReadFile(paths[0])
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if err := json.Unmarshal(got.Data, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(b, a); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if !strings.Contains(got.Caption, "MINI PROFILE") || !strings.Contains(got.Caption, "demo") {
		t.Errorf("caption %q does not say what it is", got.Caption)
	}
	for _, p := range paths[1:] {
		if info, err := os.Stat(p); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// TestFig2 leaves out spectra inside an epoch.
func TestFig2(t *testing.T) {
	j := logged(t, "fig2", map[string]string{"lor2c": `{"kind":"spectrum","step":3,"epoch":0.5,"modules":[{"first":0,"last":0,"singular":[9,9]}]}
{"kind":"spectrum","step":6,"epoch":1,"modules":[{"first":0,"last":0,"singular":[1,0.5]},{"first":1,"last":1,"singular":[2,1]}]}
{"kind":"spectrum","step":9,"epoch":1.5,"modules":[{"first":0,"last":0,"singular":[9,9]}]}
{"kind":"spectrum","step":12,"epoch":2,"modules":[{"first":0,"last":0,"singular":[3,1.5]},{"first":1,"last":1,"singular":[4,2]}]}
`})
	paths, err := j.fig2()
	wantData(t, paths, err,
		`{"epochs":[1,2],"rank":2,"singular_values_by_epoch_and_module":[[[1,0.5],[2,1]],[[3,1.5],[4,2]]]}`)
	if _, err := logged(t, "fig2", nil).fig2(); err == nil ||
		!strings.Contains(err.Error(), "no run with spectra is done") {
		t.Errorf("without spectra: %v", err)
	}
}

// TestFig7 weights A and B by their elements: LoR2C's mean in layer 0 is
// (2*30 + 4*10)/40 = 2.5, LoRA's (1*20 + 1*20)/40 = 1.
func TestFig7(t *testing.T) {
	lines := map[string]string{
		"lor2c": `{"kind":"gradient","step":6,"epoch":1,"steps":6,"layers":[{"layer":0,"a":{"abs":2,"count":30},"b":{"abs":4,"count":10}},{"layer":1,"a":{"abs":3,"count":20},"b":{"abs":3,"count":20}}]}
`,
		"lora": `{"kind":"gradient","step":6,"epoch":1,"steps":6,"layers":[{"layer":0,"a":{"abs":1,"count":20},"b":{"abs":1,"count":20}},{"layer":1,"a":{"abs":4,"count":20},"b":{"abs":8,"count":20}}]}
`}
	paths, err := logged(t, "fig7", lines).fig7()
	wantData(t, paths, err, `{"ratio_by_epoch_and_layer":[[2.5,0.5]]}`)
	lines["lora"] = ""
	if _, err := logged(t, "fig7", lines).fig7(); err == nil ||
		!strings.Contains(err.Error(), "gradients of 1 epoch for lor2c and 0 for lora") {
		t.Errorf("with one method: %v", err)
	}
}

func TestFig6(t *testing.T) {
	j := plan(t, "fig6", Options{Profile: Mini, Out: t.TempDir()})
	im := group("imlor2c-demo-max_merges=2-max_injects=1", 100, 0.75)
	im.Merges.Executed, im.Injects.Executed = sweep.Range{Min: 1, Max: 1}, sweep.Range{Min: 1, Max: 1}
	g := j.grid("demo", map[string]sweep.Group{im.Name: im})
	if g.Values[1][2] != 0.75 || !math.IsNaN(g.Values[2][1]) ||
		g.Executed[1][2] != (figure.Executed{Injects: 1, Merges: 1}) || g.Metric != "accuracy" {
		t.Errorf("grid %+v; want row 1, column 2", g)
	}
	paths, err := j.fig6(&sweep.Summary{Groups: []sweep.Group{group("lor2c-demo", 100, 0.5), im}})
	want := `[{"task":"demo","merges":0,"injects":0,"metric":"accuracy","score":{"n":1,"mean":0.5,"sd":null,"min":0.5,"max":0.5,"interval_95":null},
		"executed":{"merges":{"min":0,"max":0},"injects":{"min":0,"max":0}}}`
	for injects := range 3 {
		for merges := range 3 {
			switch {
			case merges+injects == 0:
			case merges == 2 && injects == 1:
				want += `,{"task":"demo","merges":2,"injects":1,"metric":"accuracy","score":{"n":1,"mean":0.75,"sd":null,"min":0.75,"max":0.75,"interval_95":null},
					"executed":{"merges":{"min":1,"max":1},"injects":{"min":1,"max":1}}}`
			default:
				want += `,{"task":"demo","merges":` + string(rune('0'+merges)) + `,"injects":` + string(rune('0'+injects)) +
					`,"metric":"","score":null,"executed":null}`
			}
		}
	}
	wantData(t, paths, err, want+"]")
}
