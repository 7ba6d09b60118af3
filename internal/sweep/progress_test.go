package sweep

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/terminal/terminaltest"
)

// twoCells goes through a sweep of three cells, two at once, and calls at after
// each moment with what there is to see by then.
func twoCells(screen *terminal.Screen, clock *time.Time, at func(moment string)) *progress {
	p := newProgress(screen, 3, func() time.Time { return *clock })
	cell := func(name string) Cell { return Cell{Name: name, metric: "accuracy"} }
	a, b := p.begin(cell("demo-rank=2-seed=1")), p.begin(cell("demo-rank=2-seed=2"))
	at("begun")
	*clock = clock.Add(10 * time.Second)
	out := &records{p: p, cell: a}
	// The first half of b was trained by an earlier process. Records arrive in
	// pieces, and b's last one never whole.
	for _, piece := range []string{`{"kind":"start","step":0,"steps":200,"epochs":2}` + "\n" + `{"kind":"tr`,
		`ain","step":50,"epoch":0.5,"loss":0.61234}` + "\n"} {
		out.Write([]byte(piece))
	}
	(&records{p: p, cell: b}).Write([]byte(`{"kind":"start","step":100,"steps":200,"epochs":2}` + "\n" +
		`{"kind":"eval","step":150,"epoch":1.5,"loss":1,"accuracy":0.75}` + "\n" + `{"kind":"eval","step":200`))
	*clock = clock.Add(10 * time.Second)
	out.Write([]byte(`{"kind":"eval","step":100,"epoch":1,"loss":1,"accuracy":null}` + "\n"))
	at("training")
	p.end(b, nil, true)
	p.end(a, &failure{a.Cell, "exit code 1: no", "a.log"}, false)
	at("ended")
	p.close()
	return p
}

// Times by hand. After 20 s half of a and a quarter of b were trained, 0.75
// cells; 3 - 0.5 - 0.75 are left. At the end half a cell was trained, by b; a
// failed, and one cell is left.
func TestProgressOnTerminals(t *testing.T) {
	for width, want := range map[int]map[string]string{
		80: {
			"begun": `0 of 3 cells  [----------------------------------------]
demo-rank=2-seed=1  starting
demo-rank=2-seed=2  starting
`,
			"training": `0 of 3 cells  [===============>------------------------]  eta 47s
demo-rank=2-seed=1  [======>-------]  100/200  loss 0.6123  accuracy undefined
demo-rank=2-seed=2  [=====================>--------]  150/200  accuracy 0.7500
`,
			"ended": `demo-rank=2-seed=2: done, last accuracy 0.7500
demo-rank=2-seed=1: FAILED: exit code 1: no
2 of 3 cells  [=========================>--------------]  eta 40s
`,
		},
		40: {
			"begun":    "0 of 3 cells  [----------------------]\ndemo-rank=2-seed=1  starting\ndemo-rank=2-seed=2  starting\n",
			"training": "0 of 3 cells  [====>--------]  eta 47s\ndemo-rank=2-seed=1  100/200\ndemo-rank=2-seed=2  150/200\n",
			"ended": `demo-rank=2-seed=2: done, last accuracy
  0.7500
demo-rank=2-seed=1: FAILED: exit code 1:
  no
2 of 3 cells  [=======>-----]  eta 40s
`,
		},
		24: {
			"begun":    "0 of 3 cells\n…=2-seed=1  starting\n…=2-seed=2  starting\n",
			"training": "0 of 3 cells  eta 47s\n…=2-seed=1  100/200\n…=2-seed=2  150/200\n",
			"ended": "demo-rank=2-seed=2:\n  done, last accuracy\n  0.7500\ndemo-rank=2-seed=1:\n" +
				"  FAILED: exit code 1:\n  no\n2 of 3 cells  eta 40s\n",
		},
	} {
		tty, clock := terminaltest.New(width), time.Unix(0, 0)
		p := twoCells(terminal.Open(tty, tty.Terminal(), func() time.Time { return clock }), &clock, func(moment string) {
			if d := cmp.Diff(want[moment], tty.String()); d != "" {
				t.Errorf("%d cells, %s (-want +got):\n%s", width, moment, d)
			}
			if lines := tty.Broken(); lines != nil {
				t.Errorf("%d cells: too wide: %q", width, lines)
			}
		})
		if strings.Contains(tty.String(), "2 of 3") {
			t.Errorf("a bar is left:\n%s", tty.String())
		}
		if err := p.err(3); !errors.Is(err, ErrFailed) || !strings.Contains(err.Error(), "1 of 3 ") {
			t.Errorf("got %v", err)
		}
	}
}

func TestProgressInAFile(t *testing.T) {
	var b bytes.Buffer
	clock := time.Unix(0, 0)
	twoCells(terminal.Open(&b, terminal.Terminal{}, nil), &clock, func(string) {})
	want := `demo-rank=2-seed=1: begins (1 of 3)
demo-rank=2-seed=2: begins (2 of 3)
demo-rank=2-seed=2: epoch 1.5 of 2, step 150 of 200: accuracy 0.7500
demo-rank=2-seed=1: epoch 1 of 2, step 100 of 200: accuracy undefined
demo-rank=2-seed=2: done, last accuracy 0.7500, 2 to go, about 30s
demo-rank=2-seed=1: FAILED: exit code 1: no, 1 to go, about 40s
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
