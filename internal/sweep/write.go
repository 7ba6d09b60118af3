package sweep

import (
	"encoding/csv"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/outfile"
	"github.com/lor2c/lor2c/internal/place"
)

// Write writes summary.md, summary.csv and summary.json into the sweep's
// directory.
func (s *Sweep) Write(sum *Summary) error {
	if err := outfile.WriteJSON(filepath.Join(s.Out, "summary.json"), sum); err != nil {
		return err
	}
	if err := outfile.Write(filepath.Join(s.Out, "summary.csv"), sum.CSV); err != nil {
		return err
	}
	return outfile.WriteBytes(filepath.Join(s.Out, "summary.md"), []byte(sum.Markdown()))
}

// Markdown returns a table with a row for each group, and explanations.
func (s *Summary) Markdown() string {
	var b strings.Builder
	b.WriteString("| cell | task | metric | n | mean | sd | min - max | 95 % interval | parameters | merges | " +
		"injections | seconds |\n")
	b.WriteString("|---|---|---|---:|---:|---:|---|---|---:|---|---|---:|\n")
	for _, g := range s.Groups {
		if len(g.Runs) == 0 {
			fmt.Fprintf(&b, "| %s | %s | %s | 0 | - | - | - | - | - | - | - | - |\n", g.Name, g.Task, g.Metric)
			continue
		}
		n, mean, limits, sd, interval := strconv.Itoa(g.Score.N), "", "", "-", "-"
		if g.Score.Undefined > 0 {
			n += fmt.Sprintf(" (%d undefined)", g.Score.Undefined)
		}
		if g.Score.N > 0 {
			mean, limits = g.Score.Mean.String(), fmt.Sprintf("%v - %v", g.Score.Min, g.Score.Max)
		}
		if g.Score.SD != nil {
			sd = fmt.Sprintf("%.4f", *g.Score.SD)
		}
		if i := g.Score.Interval; i != nil {
			interval = fmt.Sprintf("%.4f - %.4f", i.Low, i.High)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %.0f |\n", g.Name, g.Task, g.Metric, n,
			mean, sd, limits, interval, g.Parameters, g.Merges, g.Injects, g.Seconds)
	}
	b.WriteString("\nScores are of the best epoch on dev. sd is over seeds, with n - 1; the interval is a bootstrap " +
		"of the mean, for four seeds and more, too short where n is small.\n" +
		"Parameters are the adapter's in that epoch, the head not counted. Merges and injections are carried out / " +
		"planned, seconds wall-clock of a run.\n")
	for _, best := range s.Best {
		if best.Of < 2 {
			continue
		}
		fmt.Fprintf(&b, "\nBest of %d on %s: %s, %s %.4f", best.Of, best.Task, best.Group, best.Metric, best.Mean)
		if best.Ties > 0 {
			fmt.Fprintf(&b, " (%s the same mean)", place.Count(best.Ties, "other has", "others have"))
		}
		b.WriteString(". It was selected by the dev scores that it is listed with, so they flatter it; the test split " +
			"has not been looked at.\n")
	}
	if s.Failed != nil {
		fmt.Fprintf(&b, "\nWithout results: %s.\n", strings.Join(s.Failed, ", "))
	}
	return b.String()
}

// String returns one number if both ends are equal, and otherwise both ends.
func (r Range) String() string {
	if r.Min == r.Max {
		return strconv.Itoa(r.Min)
	}
	return fmt.Sprintf("%d - %d", r.Min, r.Max)
}

// String returns "executed / planned", or "-" if nothing was planned.
func (c Counted) String() string {
	if c.Planned.Max == 0 {
		return "-"
	}
	return c.Executed.String() + " / " + c.Planned.String()
}

// CSV writes a table with a row for each run.
func (s *Summary) CSV(to io.Writer) error {
	w := csv.NewWriter(to)
	w.Write([]string{"cell", "task", "metric", "seed", "score", "loss", "epoch", "parameters",
		"merges_planned", "merges_executed", "injects_planned", "injects_executed", "seconds", "device"})
	float := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	for _, g := range s.Groups {
		for _, r := range g.Runs {
			w.Write([]string{g.Name, g.Task, g.Metric, strconv.FormatUint(r.Seed, 10), r.Score.Cell(), r.Loss.Cell(),
				strconv.FormatFloat(r.Epoch, 'g', -1, 64), strconv.Itoa(r.Parameters),
				strconv.Itoa(r.Merges.Planned), strconv.Itoa(r.Merges.Executed), strconv.Itoa(r.Injects.Planned),
				strconv.Itoa(r.Injects.Executed), float(r.Seconds), r.Device})
		}
	}
	w.Flush()
	return w.Error()
}
