package dataset

import "strings"

// glueTask describes one GLUE task (Wang et al., 2018) in both layouts in which
// it is distributed. Columns are found by name, because the TSV files of one
// task can have different numbers of columns (MNLI has 12 in train and 16 in
// dev).
type glueTask struct {
	name, folder string   // name on the Hugging Face hub, folder of the TSV archive
	header       []string // columns of train.tsv and dev.tsv if they have no header line
	tsvText      []string // text columns, test.tsv included
	tsvLabel     string
	hubText      []string // text columns in parquet; the label is always `label`
	labels       []string // class names in the order of the TSV processors
	hubLabels    []string // the same in the order of the hub's ClassLabel, if it differs
	metrics      []string // the first one selects the best epoch
	skipBad      bool
	maxLength    int
}

var (
	zeroOne    = []string{"0", "1"}
	entailment = []string{"entailment", "not_entailment"}
	sentences  = []string{"sentence1", "sentence2"}
	questions  = []string{"question1", "question2"}
	accuracy   = []string{"accuracy"}
)

// If the TSV labels of a task are 0 and 1, its classes have these names in
// parquet too, where the hub has words for the same numbers, so that a model
// trained on one layout can be evaluated on the other. Maximum lengths are
// those of the LoR2C reference scripts.
var glueTasks = []glueTask{
	{name: "cola", folder: "CoLA", header: []string{"source", "label", "mark", "sentence"},
		tsvText: []string{"sentence"}, tsvLabel: "label", hubText: []string{"sentence"},
		labels: zeroOne, metrics: []string{"matthews"}, maxLength: 256},
	{name: "sst2", folder: "SST-2", tsvText: []string{"sentence"}, tsvLabel: "label",
		hubText: []string{"sentence"}, labels: zeroOne, metrics: accuracy, maxLength: 256},
	{name: "mrpc", folder: "MRPC", tsvText: []string{"#1 String", "#2 String"}, tsvLabel: "Quality",
		hubText: sentences, labels: zeroOne, metrics: []string{"accuracy", "f1"}, maxLength: 256},
	{name: "stsb", folder: "STS-B", tsvText: sentences, tsvLabel: "score",
		hubText: sentences, metrics: []string{"pearson", "spearman"}, maxLength: 256},
	{name: "rte", folder: "RTE", tsvText: sentences, tsvLabel: "label",
		hubText: sentences, labels: entailment, metrics: accuracy, maxLength: 512},
	{name: "qnli", folder: "QNLI", tsvText: []string{"question", "sentence"}, tsvLabel: "label",
		hubText: []string{"question", "sentence"}, labels: entailment, metrics: accuracy, maxLength: 256},
	{name: "mnli", folder: "MNLI", tsvText: sentences, tsvLabel: "gold_label",
		hubText: []string{"premise", "hypothesis"}, labels: []string{"contradiction", "entailment", "neutral"},
		hubLabels: []string{"entailment", "neutral", "contradiction"}, metrics: accuracy, maxLength: 256},
	{name: "qqp", folder: "QQP", tsvText: questions, tsvLabel: "is_duplicate", hubText: questions,
		labels: zeroOne, metrics: []string{"accuracy", "f1"}, skipBad: true, maxLength: 256},
	{name: "wnli", folder: "WNLI", tsvText: sentences, tsvLabel: "label",
		hubText: sentences, labels: zeroOne, metrics: accuracy, maxLength: 256},
}

// taskNames returns the names that data.task accepts.
func taskNames() []string {
	var names []string
	for _, g := range glueTasks {
		names = append(names, g.name)
	}
	return append(names, customTask, Instruct)
}

const customTask = "custom"

// taskName returns the name used here for a spelling such as SST-2 or sts_b.
func taskName(spelling string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(spelling))
}

func glueByName(name string) (glueTask, bool) {
	for _, g := range glueTasks {
		if g.name == name {
			return g, true
		}
	}
	return glueTask{}, false
}

// task returns the description of the task in one layout.
func (g glueTask) task(parquet bool) Task {
	t := Task{Name: g.name, Labels: g.labels, Metrics: g.metrics, Select: g.metrics[0], Text: g.tsvText}
	if parquet {
		t.Text = g.hubText
	}
	if parquet && g.hubLabels != nil {
		t.Labels = g.hubLabels
	}
	return t
}

// score returns the range of the regression target; STS-B is rated from 0 to 5.
func (g glueTask) score() score {
	if g.labels == nil {
		return score{0, 5}
	}
	return anyScore
}

// tsvLayout returns the layout of one TSV file of the task. Only CoLA's train
// and dev files have no header line.
func (g glueTask) tsvLayout(split string) layout {
	l := layout{text: g.tsvText, label: g.tsvLabel, needLabel: !isTest(split), skipBad: g.skipBad}
	if !isTest(split) {
		l.header = g.header
	}
	return l
}

func isTest(split string) bool { return strings.HasPrefix(split, "test") }

// splitFile is the names of one split's files: a TSV file and the stem of
// parquet shards.
type splitFile struct{ split, tsv, stem string }

func (g glueTask) files() []splitFile {
	if g.name != "mnli" {
		return []splitFile{{"train", "train.tsv", "train"}, {"dev", "dev.tsv", "validation"}, {"test", "test.tsv", "test"}}
	}
	return []splitFile{
		{"train", "train.tsv", "train"},
		{"dev", "dev_matched.tsv", "validation_matched"},
		{"dev_mismatched", "dev_mismatched.tsv", "validation_mismatched"},
		{"test", "test_matched.tsv", "test_matched"},
		{"test_mismatched", "test_mismatched.tsv", "test_mismatched"},
	}
}
