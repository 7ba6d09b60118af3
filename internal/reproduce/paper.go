package reproduce

import (
	_ "embed" // for paper.csv
	"encoding/csv"
	"fmt"
	"math"
	"strconv"
	"strings"
)

//go:embed paper.csv
var paperCSV string

//go:embed paper2.csv
var paper2CSV string

// paperRow is a row of Table I or Table II.
type paperRow struct {
	method     string // lor2c's name for the row
	row        string // name of the row in the paper
	parameters string
	scores     map[string]float64 // by task, times 100
	average    float64            // as printed
}

// paperTable returns the rows of Table I, and its tasks in the order of the
// columns.
func paperTable() (rows []paperRow, tasks []string) { return readTable(paperCSV) }

// readTable reads a table of the paper. The numbers of rows that the paper does not have are NaN.
func readTable(text string) (rows []paperRow, tasks []string) {
	r := csv.NewReader(strings.NewReader(text))
	r.Comment = '#'
	lines, err := r.ReadAll()
	if err != nil {
		panic(fmt.Sprintf("reproduce: the embedded table: %v", err))
	}
	number := func(text string) float64 {
		if text == "" {
			return math.NaN()
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			panic(fmt.Sprintf("reproduce: the embedded table: %v", err))
		}
		return v
	}
	last := len(lines[0]) - 1
	tasks = lines[0][3:last]
	for _, line := range lines[1:] {
		row := paperRow{method: line[0], row: line[1], parameters: line[2], scores: map[string]float64{},
			average: number(line[last])}
		for i, task := range tasks {
			row.scores[task] = number(line[3+i])
		}
		rows = append(rows, row)
	}
	return rows, tasks
}

// taskTitles are the names of the tasks in tables and figures.
var taskTitles = map[string]string{
	"sst2": "SST-2", "mrpc": "MRPC", "cola": "CoLA", "qnli": "QNLI", "rte": "RTE", "stsb": "STS-B", demoTask: "demo data",
	"mmlu": "MMLU", "bbh": "BBH", "drop": "DROP", "humaneval": "HumanEval",
}
