package watch

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/terminal"
	"github.com/lor2c/lor2c/internal/train"
)

// Options say where a run is shown, and how.
type Options struct {
	Out      io.Writer
	Terminal terminal.Terminal // what Out supports
	// Keys has the keys that are pressed, and is closed when there are no more; nil without a keyboard.
	Keys <-chan byte
	// Tick sends the time when the picture is to be drawn again.
	Tick <-chan time.Time
	Now  func() time.Time // time.Now if nil
	Once bool             // print one frame, without control sequences if Out is not a terminal
}

// shown is what is watched: a run or a sweep.
type shown interface {
	read() error
	frame(t terminal.Terminal, width int, now time.Time) []string
}

// plainWidth is the width of a frame without a terminal.
const plainWidth = 80

// These control a terminal: the alternate screen without a cursor, the way back, the first cell, and the rest of a line
// and of the screen.
const (
	enter     = "\x1b[?1049h\x1b[?25l"
	leave     = "\x1b[?25h\x1b[?1049l"
	home      = "\x1b[H"
	eraseLine = "\x1b[K"
	eraseRest = "\x1b[J"
)

// Run shows the run or the sweep in a directory until a key ends it. It only reads files. It returns an error that
// wraps train.ErrInterrupted when ctx ends, one that wraps ErrGone when the directory is moved or removed, and one for
// a directory that is neither.
func Run(ctx context.Context, dir string, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	what, err := open(dir)
	if err != nil {
		return err
	}
	if err := what.read(); err != nil {
		return err
	}
	if o.Once || !o.Terminal.Live {
		width := plainWidth
		if o.Terminal.Width != nil {
			width = o.Terminal.Width()
		}
		_, err := io.WriteString(o.Out, strings.Join(what.frame(o.Terminal, width, o.Now()), "\n")+"\n")
		return err
	}
	io.WriteString(o.Out, enter)
	defer io.WriteString(o.Out, leave)
	return o.follow(ctx, what)
}

// open returns the run or the sweep in a directory.
func open(dir string) (shown, error) {
	if _, err := os.Stat(filepath.Join(dir, train.ConfigFile)); err == nil {
		return openView(dir)
	}
	found, err := fs.Glob(os.DirFS(dir), "*/"+train.ConfigFile)
	if err == nil && len(found) > 0 {
		return &cells{dir: dir, views: map[string]*view{}}, nil
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, place.Mistake(fmt.Errorf("watch: there is no directory %s; name a directory that lor2c train or lor2c "+
			"sweep writes", dir))
	}
	return nil, place.Mistake(fmt.Errorf("watch: open %s: neither it nor a directory in it has a %s; name a directory "+
		"that lor2c train or lor2c sweep writes", dir, train.ConfigFile))
}

// follow draws until the end.
func (o *Options) follow(ctx context.Context, what shown) error {
	help, held := false, false
	for {
		// A picture that is held still fits a terminal that is resized.
		o.draw(what.frame(o.Terminal, o.Terminal.Width(), o.Now()), help, held)
		select {
		case <-ctx.Done():
			return fmt.Errorf("watch: %w; the run goes on", train.ErrInterrupted)
		case key, open := <-o.Keys:
			switch {
			case !open:
				o.Keys = nil
			case key == 'q' || key == 'Q' || key == 3 || key == 4: // Ctrl-C and Ctrl-D
				return nil
			case key == ' ':
				held = !held
			case key == '?' || key == 'h':
				help = !help
			}
		case <-o.Tick:
		}
		if held {
			continue
		}
		if err := what.read(); err != nil {
			return err
		}
	}
}

// helpText says what the keys do.
const helpText = "q quits, space holds the picture, ? hides this line; no key changes the run"

// draw writes lines from the first cell on, and the keys below them. Lines for which there is no room are left out.
func (o *Options) draw(lines []string, help, held bool) {
	foot := "q quit  space hold  ? help"
	switch {
	case help:
		foot = helpText
	case held:
		foot = "held; space goes on"
	}
	rows := max(1, o.Terminal.Height()-1)
	lines = slices.Concat(lines[:min(len(lines), rows)], []string{cut(foot, o.Terminal.Width())})
	io.WriteString(o.Out, home+strings.Join(lines, eraseLine+"\r\n")+eraseLine+eraseRest)
}
