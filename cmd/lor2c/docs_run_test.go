package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// TestDocsOwnData runs all commands of docs/howto/own-data.md in order, with the run file that the page shows, in a
// directory that has only the demo. The run has one epoch.
func TestDocsOwnData(t *testing.T) {
	if testing.Short() {
		t.Skip("the test trains two adapters")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(root, "demo"), filepath.Join(dir, "demo")); err != nil {
		t.Skipf("the system has no links: %v", err)
	}
	environment := expand.ListEnviron(asCommand+"=1", "HOME="+t.TempDir(), "LOR2C_TRAIN_EPOCHS=1")
	var out bytes.Buffer
	shell, err := interp.New(interp.Dir(dir), interp.Env(environment), interp.StdIO(nil, &out, &out),
		interp.Params("-e"), interp.ExecHandlers(func(next interp.ExecHandlerFunc) interp.ExecHandlerFunc {
			return func(ctx context.Context, args []string) error {
				if args[0] == "lor2c" {
					args[0] = os.Args[0]
				}
				return next(ctx, args)
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, b := range blocks(t, filepath.Join(root, "docs/howto/own-data.md")) {
		switch b.language {
		case "yaml":
			if err := os.WriteFile(filepath.Join(dir, "own.yaml"), []byte(b.text), 0o644); err != nil {
				t.Fatal(err)
			}
		case "sh":
			file, err := syntax.NewParser().Parse(strings.NewReader(b.text), b.place)
			if err == nil {
				err = shell.Run(t.Context(), file)
			}
			if err != nil {
				t.Fatalf("%s: %v\n%s", b.place, err, out.String())
			}
			ran++
		}
	}
	for _, want := range []string{"best epoch 1: ", "evaluate: lor2c eval --run runs/own ", "id\tprediction\tp_act\t",
		"B minus A, 95 % intervals"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output has no %q:\n%s", want, out.String())
		}
	}
	if ran != 4 {
		t.Errorf("%d blocks ran; want 4", ran)
	}
}
