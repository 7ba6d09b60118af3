package benchmark

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
)

// mmluAreas are the subjects of MMLU (Hendrycks et al. 2021) by area.
var mmluAreas = map[string]string{}

func init() {
	for area, subjects := range map[string]string{
		"stem": "abstract_algebra astronomy college_biology college_chemistry college_computer_science " +
			"college_mathematics college_physics computer_security conceptual_physics electrical_engineering " +
			"elementary_mathematics high_school_biology high_school_chemistry high_school_computer_science " +
			"high_school_mathematics high_school_physics high_school_statistics machine_learning",
		"humanities": "formal_logic high_school_european_history high_school_us_history high_school_world_history " +
			"international_law jurisprudence logical_fallacies moral_disputes moral_scenarios philosophy prehistory " +
			"professional_law world_religions",
		"social_sciences": "econometrics high_school_geography high_school_government_and_politics " +
			"high_school_macroeconomics high_school_microeconomics high_school_psychology human_sexuality " +
			"professional_psychology public_relations security_studies sociology us_foreign_policy",
		"other": "anatomy business_ethics clinical_knowledge college_medicine global_facts human_aging management " +
			"marketing medical_genetics miscellaneous nutrition professional_accounting professional_medicine virology",
	} {
		for _, subject := range strings.Fields(subjects) {
			mmluAreas[subject] = area
		}
	}
}

// loadMMLU adds the questions of the files in test, with rows of dev as examples, by subject in alphabetical order.
func loadMMLU(s *Set, o Options) error {
	names, err := fs.Glob(os.DirFS(filepath.Join(s.Path, "test")), "*_test.csv")
	if err != nil {
		return err
	}
	slices.Sort(names)
	if !o.Own {
		for _, subject := range slices.Sorted(maps.Keys(mmluAreas)) {
			if name := subject + "_test.csv"; !slices.Contains(names, name) {
				return fmt.Errorf("benchmark: mmlu: no file %s; want all %d subjects of the release, or add --own-data to ask "+
					"those that are there", filepath.Join(s.Path, "test", name), len(mmluAreas))
			}
		}
	}
	for _, name := range names {
		items, err := mmluSubject(s.Path, stem(name, "_test.csv"), o)
		if err != nil {
			return err
		}
		s.Items = append(s.Items, items...)
	}
	return nil
}

func mmluSubject(dir, subject string, o Options) ([]Item, error) {
	dev, err := mmluFile(dir, "dev", subject, o.Own)
	if err != nil {
		return nil, err
	}
	if len(dev) < o.Shots {
		return nil, fmt.Errorf("benchmark: read %s: it has %s; want at least %d for the examples",
			filepath.Join(dir, "dev", subject+"_dev.csv"), place.Count(len(dev), "row", "rows"), o.Shots)
	}
	test, err := mmluFile(dir, "test", subject, o.Own)
	if err != nil {
		return nil, err
	}
	// instruct-eval writes a blank before every word of the subject.
	name := strings.ReplaceAll(subject, "_", " ")
	if o.Protocol == InstructEval {
		name = " " + name
	}
	head := "The following are multiple choice questions (with answers) about " + name + ".\n\n"
	var solved []string
	for _, row := range dev[:o.Shots] {
		solved = append(solved, mmluQuestion(row, o.Protocol)+" "+row[5]+"\n\n")
	}
	items := make([]Item, len(test))
	for i, row := range test {
		items[i] = Item{
			Task: subject, Row: i, Head: head, Shots: solved, Question: mmluQuestion(row, o.Protocol), Label: row[5],
		}
		if o.Protocol == LMEval {
			items[i].Choices = []string{" A", " B", " C", " D"}
		} else {
			items[i].MaxTokens = 2
		}
	}
	return items, nil
}

// mmluFile returns the rows of a subject's file of a split.
func mmluFile(dir, split, subject string, own bool) ([][]string, error) {
	path := filepath.Join(dir, split, subject+"_"+split+".csv")
	rows, err := mmluRows(path)
	if err == nil && !own {
		err = checkRelease("mmlu/"+split+"/"+subject, path, rows)
	}
	return rows, err
}

// mmluQuestion returns a question with its four choices. lm-eval strips the
// question only.
func mmluQuestion(row []string, p Protocol) string {
	question := row[0]
	if p == LMEval {
		question = strings.TrimSpace(question)
	}
	return fmt.Sprintf("%s\nA. %s\nB. %s\nC. %s\nD. %s\nAnswer:", question, row[1], row[2], row[3], row[4])
}

func mmluRows(path string) ([][]string, error) {
	data, err := infile.Read(path, infile.Index)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("benchmark: mmlu: no file %s", path)
		}
		return nil, fmt.Errorf("benchmark: read %s: %w", path, err)
	}
	rows, err := csvRows(string(data))
	if err != nil {
		return nil, fmt.Errorf("benchmark: read %s: %w", path, err)
	}
	for i, row := range rows {
		if len(row) != 6 {
			return nil, fmt.Errorf("benchmark: read %s: row %d has %s; want a question, four choices and a letter",
				path, i+1, place.Count(len(row), "column", "columns"))
		}
		if len(row[5]) != 1 || !strings.Contains("ABCD", row[5]) {
			return nil, fmt.Errorf("benchmark: read %s: row %d has the answer %s; want A, B, C or D", path, i+1,
				place.Quote(row[5]))
		}
	}
	return rows, nil
}

// csvRows parses CSV as Python's module csv does, which keeps CR LF inside
// quotes; encoding/csv does not.
func csvRows(text string) (rows [][]string, err error) {
	var row []string
	var field strings.Builder
	quoted := false
	end := func() { row = append(row, field.String()); field.Reset() }
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quoted && c == '"' && i+1 < len(text) && text[i+1] == '"':
			field.WriteByte('"')
			i++
		case quoted && c == '"':
			quoted = false
		case quoted:
			field.WriteByte(c)
		case c == '"' && field.Len() == 0:
			quoted = true
		case c == ',':
			end()
		case c == '\n' || c == '\r' && strings.HasPrefix(text[i+1:], "\n"):
			if c == '\r' {
				i++
			}
			if end(); len(row) > 1 || row[0] != "" {
				rows = append(rows, row)
			}
			row = nil
		default:
			field.WriteByte(c)
		}
	}
	if quoted {
		return nil, fmt.Errorf("row %d has a quote that is never closed", len(rows)+1)
	}
	if field.Len() > 0 || row != nil {
		end()
		rows = append(rows, row)
	}
	return rows, nil
}
