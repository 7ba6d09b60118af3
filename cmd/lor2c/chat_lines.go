package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// newLineReader returns a reader with line editing if in and the output are a terminal, and otherwise one of plain
// lines without prompts.
func newLineReader(in io.Reader, live bool) lineReader {
	f, ok := in.(*os.File)
	if !ok || !live || !term.IsTerminal(int(f.Fd())) {
		return plainLines{bufio.NewReader(in)}
	}
	keys := &keyboard{file: f}
	t := term.NewTerminal(keys, "")
	return &editor{keys: keys, terminal: t}
}

// plainLines are the lines of a file or a pipe.
type plainLines struct{ r *bufio.Reader }

func (p plainLines) read(context.Context, string) (string, error) {
	line, err := p.r.ReadString('\n')
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}

// editor reads lines that the user can edit, with the earlier ones as history. The terminal is in raw mode only while a
// line is read, so that Ctrl-C sends a signal at all other times.
type editor struct {
	keys     *keyboard
	terminal *term.Terminal
}

func (e *editor) read(ctx context.Context, prompt string) (string, error) {
	fd := int(e.keys.file.Fd())
	cooked, err := term.MakeRaw(fd)
	if err != nil {
		return "", err
	}
	if width, height, err := term.GetSize(fd); err == nil && width > 0 {
		_ = e.terminal.SetSize(width, height)
	}
	e.terminal.SetPrompt(prompt)
	e.terminal.SetBracketedPasteMode(true)
	restore := func() {
		e.terminal.SetBracketedPasteMode(false)
		_ = term.Restore(fd, cooked)
	}
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := e.line()
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		restore()
		if errors.Is(r.err, io.EOF) {
			_, _ = io.WriteString(os.Stdout, "\n")
		}
		return r.line, r.err
	case <-ctx.Done(): // the goroutine ends with the process
		_ = term.Restore(fd, cooked)
		return "", ctx.Err()
	}
}

// line reads a line, or several that are pasted at once.
func (e *editor) line() (string, error) {
	var pasted strings.Builder
	for {
		line, err := e.terminal.ReadLine()
		if e.keys.cleared {
			e.keys.cleared = false
			return "", errCleared
		}
		if !errors.Is(err, term.ErrPasteIndicator) {
			return pasted.String() + line, err
		}
		pasted.WriteString(line + "\n")
	}
}

// keyboard is the terminal as the editor reads it. Ctrl-C would end the editor; here it discards the line.
type keyboard struct {
	file    *os.File
	cleared bool
}

func (k *keyboard) Read(p []byte) (int, error) {
	// Ctrl-C is replaced by three keys.
	n, err := k.file.Read(p[:max(1, len(p)/3)])
	if !bytes.Contains(p[:n], []byte{ctrlC}) {
		return n, err
	}
	k.cleared = true
	return copy(p, "\x05\x15\r"), err // to the end, delete to the start, enter
}

const ctrlC = 3

func (k *keyboard) Write(p []byte) (int, error) { return os.Stdout.Write(p) }
