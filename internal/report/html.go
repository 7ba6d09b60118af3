package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"

	"github.com/lor2c/lor2c/internal/figure"
	"github.com/lor2c/lor2c/internal/place"
)

//go:embed page.html style.css
var assets embed.FS

var page = template.Must(template.New("page.html").Funcs(template.FuncMap{
	"drawn": drawn, "epoch": epoch, "what": Event.what, "why": Event.why, "results": results, "factTable": factTable,
	"operations": (*Run).operationTable, "candidates": Event.candidateTable, "correlations": (*Run).correlationTable,
	"configuration": Pair.configurationTable, "divergence": Pair.divergenceTable,
	"sameConfiguration": text(sameConfiguration), "sameLogs": text(sameLogs), "divergenceText": text(divergenceText),
	"correlationText": text(correlationText), "whyNot": (*Run).whyNot,
	"ties": (*Run).tieTable, "ranks": (*Run).rankTable,
}).ParseFS(assets, "page.html"))

func text(s string) func() string { return func() string { return s } }

// HTML writes the report as one page that needs no script, font or image from
// elsewhere and forbids the browser to load any.
func (r *Report) HTML(w io.Writer) error {
	css, err := assets.ReadFile("style.css")
	if err != nil {
		return fmt.Errorf("report: write page: %w", err)
	}
	type section struct {
		*Run
		Index   int
		Alone   []*Run
		Figures figures
		Facts   []fact
		Tiles   []fact
	}
	data := struct {
		Title      string
		Style      template.CSS
		Comparison *Comparison
		Overlay    []figure.Figure
		Table      *table
		Sections   []section
		Words      []fact
	}{Title: r.title(), Style: template.CSS(css), Comparison: r.Comparison, Words: r.glossary()}
	if r.Comparison != nil {
		data.Overlay = r.overlay()
		data.Table = results(r.Runs)
	}
	for i, run := range r.Runs {
		data.Sections = append(data.Sections, section{run, i + 1, []*Run{run}, run.figures(), run.facts(), run.tiles()})
	}
	if err := page.Execute(w, data); err != nil {
		return fmt.Errorf("report: write page: %w", err)
	}
	return nil
}

// drawn returns a figure in both themes and for wide and narrow screens. The
// style sheet shows one of them.
func drawn(f *figure.Figure) template.HTML {
	// Package figure makes the SVG and escapes the texts in it.
	both := func(t figure.Theme) string {
		narrow := f.InlineNarrow(t)
		if narrow == "" {
			return f.Inline(t)
		}
		return `<div class="wide">` + f.Inline(t) + `</div><div class="narrow">` + narrow + `</div>`
	}
	return template.HTML(fmt.Sprintf(`<figure><div class="canvas" style="--w:%gpx"><div class="light">%s</div><div class="dark">%s</div></div><figcaption>%s</figcaption></figure>`,
		f.Width(), both(figure.Light()), both(figure.Dark()), template.HTMLEscapeString(f.Caption)))
}

func (r *Report) title() string {
	if len(r.Runs) == 1 {
		return "Run " + r.Runs[0].Name
	}
	return place.Count(len(r.Runs), "run", "runs")
}
