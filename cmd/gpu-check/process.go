package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// skip is an error for a check that cannot be run on this machine. Its text is
// the reason.
type skip string

func (s skip) Error() string { return string(s) }

func isSkip(err error) bool {
	var s skip
	return errors.As(err, &s)
}

// limit is the longest time for one process, so that a kernel that does not end
// cannot block the other checks.
const limit = 4 * time.Minute

// process runs a program of the bundle in one of its folders and returns what
// it printed.
func (b *bundle) process(folder string, env []string, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := exec.CommandContext(ctx, program, args...)
	c.Dir = filepath.Join(b.dir, folder)
	c.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("not done after %v", limit)
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, last(out.String(), 4000))
	}
	return out.String(), err
}

// lor2c runs lor2c with the given arguments.
func (b *bundle) lor2c(args ...string) (string, error) {
	return b.process("", nil, filepath.Join(b.dir, "bin", "lor2c"), args...)
}

// test runs a test binary in the folder of its package, where its fixtures are.
// A test that would be skipped because there is no card fails.
func (b *bundle) test(pkg string, args ...string) (string, error) {
	program := filepath.Join(b.dir, "bin", filepath.Base(pkg)+".test")
	return b.process(pkg, []string{"LOR2C_REQUIRE_GPU=1"}, program, args...)
}

// last returns about the last n bytes of s, starting with a whole line.
func last(s string, n int) string {
	if len(s) <= n {
		return s
	}
	_, rest, _ := strings.Cut(s[len(s)-n:], "\n")
	return "...\n" + rest
}
