package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/sandbox"
)

const (
	asCommand = "LOR2C_TEST_AS_COMMAND"
	asWaiting = "LOR2C_TEST_AS_WAITING"
)

// TestMain runs the test binary as the command lor2c, so that exit codes,
// signals and streams are those of a real process, or as a command that waits
// for a signal.
func TestMain(m *testing.M) {
	sandbox.Child()
	if mode := os.Getenv(asWaiting); mode != "" {
		ctx, _ := untilSignal()
		if mode == "saves" {
			endsItself(ctx)
		}
		if mode == "diverts" {
			onInterrupt(ctx, func() { fmt.Println("diverted") })
		}
		fmt.Println("waiting")
		<-ctx.Done()
		fmt.Fprintln(os.Stderr, "saved")
		os.Exit(0)
	}
	if os.Getenv(asCommand) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// command returns a command that runs in the root of the repository, with an
// empty home directory and without environment variables that set keys.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(os.Args[0], args...)
	c.Dir = filepath.Join("..", "..")
	c.Env = []string{asCommand + "=1", "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	return c
}

type result struct {
	code           int
	stdout, stderr string
}

func run(t *testing.T, args ...string) result {
	t.Helper()
	return finish(t, command(t, args...))
}

// finish runs c to its end and returns its output and exit code.
func finish(t *testing.T, c *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// short returns arguments that make the demo's run file train a few steps on a
// few rows.
func short(t *testing.T, out string) []string {
	t.Helper()
	return onRows(t, 64, out)
}

// onRows returns arguments that make the demo's run file train and evaluate on
// its first rows.
func onRows(t *testing.T, rows int, out string) []string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"train", "-c", "configs/demo.yaml", "--out", out, "--set", "train.epochs=1", "--set",
		"train.batch_size=8"}
	for _, split := range []string{"train", "dev"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", "demo", "data", split+".tsv"))
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfterN(string(raw), "\n", rows+2)
		path := filepath.Join(dir, split+".tsv")
		if err := os.WriteFile(path, []byte(strings.Join(lines[:rows+1], "")), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--set", "data."+split+"="+path)
	}
	return args
}

// TestMistakes checks every exit code and message that the help describes.
func TestMistakes(t *testing.T) {
	tests := []struct {
		name string
		args string
		code int
		want string
	}{
		{"command", "trian -c x", exitUsage, `lor2c: there is no command "trian"; did you mean train?`},
		{"command-far", "publish", exitUsage, `lor2c: there is no command "publish"; want one of `},
		{"help-command", "help nosuch", exitUsage, `lor2c: there is no command "nosuch"; want one of `},
		{"help-more", "help train x", exitUsage, `lor2c train: there is no command "x"`},
		{"flag", "train --cofnig x", exitUsage, "lor2c: train: there is no flag --cofnig; did you mean --config?"},
		{"flag-key", "train -c x --epochs 3", exitUsage,
			"lor2c: train: there is no flag --epochs; did you mean --set train.epochs=VALUE?"},
		{"flag-other", "train --learning_rate 3", exitUsage, "did you mean --set optim.lr=VALUE?"},
		{"flag-short", "train -x", exitUsage, "lor2c: train: there is no flag -x; lor2c train --help lists the flags"},
		{"flag-value", "train -c", exitUsage, "lor2c: train: --config has no value; want FILE: run FILE (YAML)"},
		{"flag-number", "show -c x -n abc", exitUsage, `lor2c: show: --number is "abc"; want a whole number`},
		{"number", "show -c x -n -1", exitUsage, "lor2c: show: --number is -1; want at least 1"},
		{"resume", "train -c configs/demo.yaml --resume latest --out OUT", exitUsage,
			`--resume is "latest", and there is no such directory; want auto, never, restart or a checkpoint directory`},
		{"argument", "train x", exitUsage, `lor2c: train: "x" does not follow a flag; every value needs one`},
		{"argument-file", "train x.yaml", exitUsage, `did you mean -c "x.yaml"?`},
		{"argument-set", "train -c x.yaml optim.lr=1", exitUsage, `did you mean --set "optim.lr=1"?`},
		{"tilde", "train -c configs/demo.yaml --out ~/runs", exitUsage,
			`lor2c: --out: begins with "~", which only a shell expands; want the path written out`},
		{"tilde-predictions", "eval -c configs/demo.yaml --adapter demo/model --predictions ~/p.tsv", exitUsage,
			`lor2c: --predictions: begins with "~"`},
		{"predictions-folder", "eval -c configs/demo.yaml --adapter demo/model --predictions none/p.tsv", exitUsage,
			"there is no folder none"},
		{"predictions-model", "eval -c configs/demo.yaml --adapter demo/model --predictions demo/model/config.json",
			exitUsage, "this command reads the files in demo/model; want a file elsewhere"},
		{"predictions-data", "eval -c configs/demo.yaml --adapter demo/model --predictions demo/data/dev.tsv", exitUsage,
			"this command reads that file; want another one"},
		{"predictions-json", "eval -c configs/demo.yaml --adapter demo/model --json --predictions -", exitUsage,
			"both write to standard output"},
		{"no-config", "train", exitUsage, "lor2c: read configuration: no run file is named; name one with -c FILE"},
		{"no-file", "train -c none.yaml", exitUsage, "none.yaml"},
		{"key", "train -c configs/demo.yaml --set optim.weigth_decay=1", exitUsage, "did you mean optim.weight_decay?"},
		{"contradictions", "train -c configs/demo.yaml --set train.epochs=0 --set method.rank=0", exitUsage, "method.rank=0"},
		{"device", "train -c configs/demo.yaml --device tpu", exitUsage, `--device is "tpu"; want auto, cpu, cuda or cuda:N`},
		{"cuda", "train -c configs/demo.yaml --device cuda:0", exitDevice, "lor2c: open device cuda:0: gpu: open"},
		{"precision", "train -c configs/demo.yaml --set train.precision=half", exitUsage,
			`train.precision=half: is "half"; want float32 or bfloat16`},
		{"cpu-precision", "train -c configs/demo.yaml --set train.precision=bfloat16", exitDevice,
			"the precision is bfloat16, and the CPU computes in float32; set train.precision, "},
		{"data", "train -c configs/demo.yaml --set data.train=none.tsv --out OUT", exitUsage, "none.tsv"},
		{"column", "train -c configs/demo.yaml --set data.text=txet --out OUT", exitUsage, `no column "txet"; the file has`},
		{"model", "train -c configs/demo.yaml --set model=none --out OUT", exitUsage,
			"model: open none: there is no such directory"},
		{"length", "train -c configs/demo.yaml --set data.max_length=500 --out OUT", exitUsage,
			"data.max_length is 500, longer than the model's position table; want at most 128"},
		{"schedule", "train -c configs/demo.yaml --set schedule.max_merges=9 --out OUT", exitUsage,
			"train: plan the schedule: "},
		{"target", "train -c configs/demo.yaml --set method.name=lora --set method.target_modules=quarry --out OUT",
			exitUsage, `target module "quarry" is not a linear layer of this model; want some of `},
		{"drop-first", "train -c configs/demo.yaml --set method.name=adapter --set method.drop_first=9 --out OUT", exitUsage,
			"method.drop_first is 9 and the model has 4 layers"},
		{"eval-no-directory", "eval -c configs/demo.yaml --adapter none", exitUsage, "adapter: open none: "},
		{"eval-neither", "eval", exitUsage, "name either --run DIR or --adapter DIR"},
		{"eval-both", "eval --run x -c y", exitUsage, "-c goes with --adapter"},
		{"eval-no-run", "eval --run none", exitUsage,
			"train: open none: there is no such directory; name a directory that lor2c train wrote"},
		{"eval-other-directory", "eval --run demo", exitUsage, "train: open demo: it has no config.resolved.yaml; name"},
		{"eval-file", "eval --run configs/demo.yaml", exitUsage, "train: open configs/demo.yaml: it is a file; name"},
		{"eval-no-adapter", "eval -c configs/demo.yaml --adapter demo/data", exitUsage,
			"there is neither lor2c.json nor adapter_config.json"},
		{"predict-nothing", "predict x.csv", exitUsage, "name an adapter with --adapter DIR, or a run with --run DIR"},
		{"predict-two-files", "predict --adapter x a.csv b.csv", exitUsage,
			`lor2c: predict: "b.csv" follows "a.csv"; want one file, or - for standard input`},
		{"predict-format", "predict --adapter x a.csv --format xml", exitUsage,
			`lor2c: predict: --format is "xml"; want one of tsv, csv, jsonl, parquet, conll`},
		{"predict-json", "predict --adapter x a.csv --out p.json", exitUsage, "want .jsonl, one object per line"},
		{"predict-file", "predict --adapter configs/demo.yaml a.csv", exitUsage,
			"adapter: open configs/demo.yaml: it is a file; want a directory that lor2c train or PEFT wrote"},
		{"predict-no-adapter", "predict --adapter none a.csv", exitUsage, "adapter: open none: "},
		{"predict-no-run", "predict --run none a.csv", exitUsage, "train: open none: there is no such directory"},
		{"predict-text", "predict --adapter x a.csv --text a,b,c", exitUsage, "--text has 3 columns, a, b, c"},
		{"report-no-run", "merge-report none", exitUsage,
			"lor2c: merge-report: there is no directory none; name a directory that lor2c train wrote"},
		{"watch-nothing", "watch", exitUsage, "lor2c: watch: name one directory of a run or a sweep"},
		{"watch-no-directory", "watch none", exitUsage, "watch: there is no directory none; "},
		{"watch-other", "watch demo", exitUsage, "watch: open demo: neither it nor a directory in it has a config."},
		{"watch-often", "watch demo --every 1ms", exitUsage, "lor2c: watch: --every is below 100ms"},
		{"replay-nothing", "replay --run x", exitUsage, "name a run directory with --run DIR and a step from 1 on"},
		{"replay-no-run", "replay --run none --step 1", exitUsage, "train: open none: there is no such directory"},
		{"compare-one", "compare x", exitUsage, "lor2c: compare: name two run directories"},
		{"compare-no-run", "compare demo demo", exitUsage, "neither a run directory nor an adapter in one"},
		{"budget-alone", "train -c configs/demo.yaml --budget 2h", exitUsage, "--budget plans a run and needs --dry-run"},
		{"budget-zero", "train -c configs/demo.yaml --dry-run --budget 0s", exitUsage, "--budget is 0s; want a time above 0"},
		{"show-split", "show -c configs/demo.yaml --split tset", exitUsage, `no split "tset"`},
	}
	for _, tt := range tests {
		t.Run("case="+tt.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "run")
			args := strings.Fields(strings.ReplaceAll(tt.args, "OUT", out))
			r := run(t, args...)
			if r.code != tt.code || !strings.Contains(r.stderr, tt.want) {
				t.Errorf("exit code %d, stderr %q; want %d and %q", r.code, r.stderr, tt.code, tt.want)
			}
			if strings.Contains(r.stderr, "goroutine") || strings.Contains(r.stderr, "Usage:") {
				t.Errorf("stderr shows a stack or the usage: %q", r.stderr)
			}
			if entries, err := os.ReadDir(out); err == nil && len(entries) > 1 {
				t.Errorf("%d files were left", len(entries))
			}
		})
	}
}

// TestTrainEvalShow runs train, eval and show as a user would.
func TestTrainEvalShow(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	r := run(t, short(t, out)...)
	if r.code != 0 || !strings.Contains(r.stdout, "adapter: "+out+"/best") || strings.Contains(r.stderr, "\r") {
		t.Fatalf("train: %+v", r)
	}
	scores, _, _ := strings.Cut(strings.TrimPrefix(r.stdout, "best epoch 1: "), "\n")
	predictions := filepath.Join(t.TempDir(), "p.tsv")
	e := run(t, "eval", "--run", out, "--predictions", predictions)
	if e.code != 0 || !strings.HasPrefix(e.stdout, "dev: "+scores+"\n64 examples; 95 % bootstrap intervals: accuracy ") {
		t.Errorf("eval: %+v; want the scores of training, %q", e, scores)
	}
	raw, err := os.ReadFile(predictions)
	if lines := strings.Split(string(raw), "\n"); err != nil || len(lines) != 66 || lines[0] != "index\tprediction" {
		t.Errorf("predictions: %v, %q", err, raw)
	}
	for _, want := range []string{"\nalways predicting \"", " class  precision  recall ", " macro average  ",
		"\nconfusion matrix: "} {
		if !strings.Contains(e.stdout, want) {
			t.Errorf("no %q in\n%s", want, e.stdout)
		}
	}
	j := run(t, "eval", "--run", out, "--checkpoint", "final", "--json")
	if j.code != 0 || !strings.HasPrefix(j.stdout, `{"by_class":{"classes":[{"precision":`) ||
		!strings.Contains(j.stdout, `"examples":64,`) {
		t.Errorf("eval --json: %+v", j)
	}
	s := run(t, "show", "-c", "configs/demo.yaml", "-n", "1")
	raw, err = os.ReadFile(filepath.Join("..", "..", "demo", "data", "train.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	text, label, _ := strings.Cut(strings.Split(string(raw), "\n")[1], "\t")
	if s.code != 0 || !strings.Contains(s.stdout, "demo/data/train.tsv:2  label "+label) ||
		!strings.Contains(s.stdout, "<s>"+text+"</s>") {
		t.Errorf("show: %+v; want %q, %q", s, text, label)
	}
}

// TestDataMistakes: a fault in a data file ends with the exit code of a
// mistake, and nothing is written.
func TestDataMistakes(t *testing.T) {
	dev := filepath.Join(t.TempDir(), "dev.csv")
	if err := os.WriteFile(dev, []byte("text,label\nbread,food\na dog,animal\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]string{
		"label-missing": {"text,label\nbread,food\na dog,\na cat,animal\n", ":3: example without label"},
		"column-twice": {"text,label,label\nbread,food,food\na dog,animal,animal\n",
			`column "label" occurs more than once`},
		"row-cut":        {"text,label\nbread,food\na dog\n", ":3"},
		"one-label":      {"text,label\nbread,food\ncake,food\n", "want at least two"},
		"label-control":  {"text,label\nbread,food\na dog,\"ani\tmal\"\n", "has a control character"},
		"carriage-lines": {"text,label\rbread,food\ra dog,animal\r", "the line ends are CR"},
	} {
		t.Run("data="+name, func(t *testing.T) {
			path, out := filepath.Join(t.TempDir(), "train.csv"), filepath.Join(t.TempDir(), "run")
			if err := os.WriteFile(path, []byte(c[0]), 0o644); err != nil {
				t.Fatal(err)
			}
			r := run(t, "train", "-c", "configs/demo.yaml", "--device", "cpu", "--out", out, "--set", "data.train="+path,
				"--set", "data.dev="+dev,
				"--set", "data.text=text", "--set", "data.label=label")
			if r.code != exitUsage || !strings.Contains(r.stderr, c[1]) || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("exit code %d, stderr %q; want %d and a line with %q", r.code, r.stderr, exitUsage, c[1])
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a run directory was left")
			}
		})
	}
}
