package runlog

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/lor2c/lor2c/internal/metric"
)

// console is stderr: a bar with the lines above it, or lines alone.
type console struct {
	w      io.Writer
	bars   *mpb.Progress // nil without a terminal
	bar    *mpb.Bar
	status atomic.Pointer[string] // read by the goroutine that draws the bar
}

func (c *console) open(o Options) {
	c.w = o.Stderr
	if !o.Terminal {
		return
	}
	empty := ""
	c.status.Store(&empty)
	c.bars = mpb.New(mpb.WithOutput(o.Stderr), mpb.ForceTTY(), mpb.WithAutoRefresh())
	// A bar made with total 0 does not end by itself at the last step, before
	// that step's loss is known.
	c.bar = c.bars.AddBar(0,
		mpb.PrependDecorators(decor.CountersNoUnit("%d/%d")),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return *c.status.Load() })))
	c.bar.SetTotal(int64(o.Steps), false)
	c.bar.SetCurrent(int64(max(o.Step, 0)))
}

// line writes a line, above the bar if there is one.
func (c *console) line(text string) {
	text += "\n"
	if c.bars != nil {
		if _, err := c.bars.Write([]byte(text)); err == nil {
			return
		}
	}
	if c.w != nil {
		io.WriteString(c.w, text)
	}
}

// set moves the bar. The text is stored first, so that no frame shows a step
// with the numbers of an earlier one.
func (c *console) set(step int, status string) {
	if c.bar != nil {
		c.status.Store(&status)
		c.bar.SetCurrent(int64(step))
	}
}

// close draws the bar a last time and leaves it where it stands.
func (c *console) close() {
	if c.bar != nil {
		c.bar.Abort(false)
		c.bars.Wait()
		c.bars, c.bar = nil, nil
	}
}

// Advance counts one optimizer step, for progress and speed only. Tokens are
// real ones, padding excluded. The loop calls it after every step.
func (r *Run) Advance(step, examples, tokens int) {
	r.clock.advance(step, examples, tokens)
	r.console.set(step, r.status())
}

// Train logs a training record. Errors are kept for Err and Sync.
func (r *Run) Train(t Train) {
	r.clock.lap()
	r.loss = fmt.Sprintf("loss %.4g", t.Loss)
	c := &r.clock
	tags := []field{{"train/loss", t.Loss}, {"train/learning_rate", t.LearningRate},
		{"train/grad_norm", t.GradNorm}, {"train/epoch", t.Epoch}}
	if !math.IsNaN(c.examplesRate) {
		tags = append(tags, field{"perf/examples_per_second", c.examplesRate}, field{"perf/tokens_per_second", c.tokensRate})
	}
	r.record(t, tags)
	r.put(r.timing, jsonLine([]field{{"step", t.Step}, {"time", stamp(r.o.Now())},
		{"seconds", r.o.Now().Sub(c.start).Seconds()},
		{"examples_per_second", c.examplesRate}, {"tokens_per_second", c.tokensRate}}))
	// At the end of epoch 1 the fraction is 1.0, which is still epoch 1.
	epoch := max(1, int(math.Ceil(t.Epoch)))
	text := fmt.Sprintf("epoch %s step %s %s", of(epoch, r.o.Epochs), of(t.Step, r.o.Steps),
		r.numbers(fmt.Sprintf("%s lr %.1e norm %.3g", r.loss, t.LearningRate, t.GradNorm)))
	r.logText(text)
	if r.console.bar == nil {
		r.console.line(text)
	}
	r.console.set(t.Step, r.status())
}

// Eval logs the outcome of an evaluation. A score whose name Options.Scores
// does not hold is a Misuse.
func (r *Run) Eval(e Eval) {
	if err := e.known(r.o.Scores); err != nil {
		panic(Misuse{fmt.Sprintf("log eval at step %d: %v", e.Step, err)})
	}
	r.clock.pause()
	tags := []field{{e.prefix() + "/loss", e.Loss}}
	text := fmt.Sprintf("epoch %s step %s %s loss %.4g", of(epochText(e.Epoch), r.o.Epochs), of(e.Step, r.o.Steps), e.Split, e.Loss)
	for _, name := range r.o.Scores {
		if v, ok := e.Scores[name]; ok {
			tags = append(tags, field{e.prefix() + "/" + name, v})
			text += fmt.Sprintf(" %s %v", name, metric.Number(v))
		}
	}
	if e.Best {
		text += " (best)"
	}
	r.record(e, tags)
	r.say(text)
}

// Printf logs a line for people, to log.txt and the console. It needs no
// final newline.
func (r *Run) Printf(format string, args ...any) {
	r.say(strings.TrimRight(fmt.Sprintf(format, args...), "\n"))
}

// say writes a line that a bar must not hide.
func (r *Run) say(text string) {
	r.logText(text)
	r.console.line(text)
}

func (r *Run) logText(text string) {
	r.put(r.text, []byte(stamp(r.o.Now())+" "+text+"\n"))
}

// status is the text right of the bar.
func (r *Run) status() string { return r.numbers(r.loss) }

// numbers appends speed and remaining time to text, as far as they are known.
func (r *Run) numbers(text string) string {
	c := &r.clock
	if !math.IsNaN(c.examplesRate) {
		text += fmt.Sprintf(" %.1f ex/s %.0f tok/s", c.examplesRate, c.tokensRate)
	}
	if eta, ok := c.eta(r.o.Steps); ok {
		text += " eta " + eta.Round(time.Second).String()
	}
	return text
}

// of is "n/total", or n alone if the total is unknown.
func of(n any, total int) string {
	if total <= 0 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%v/%d", n, total)
}

// epochText is a number of epochs with two digits of its fraction, if any.
func epochText(epoch float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(epoch, 'f', 2, 64), "0"), ".")
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
