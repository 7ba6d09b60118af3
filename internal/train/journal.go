package train

import "github.com/lor2c/lor2c/internal/runlog"

// journal is the log of a run, with all records that it has.
type journal struct {
	log     *runlog.Run
	records []runlog.Record
}

// keep adds a record that was written to the log, and returns the log's error.
func (j *journal) keep(rec runlog.Record) error {
	j.records = append(j.records, rec)
	return j.log.Err()
}

// bestEval returns the record of the best evaluation so far, or the zero value.
func (j *journal) bestEval() (found runlog.Eval) {
	for _, rec := range j.records {
		if e, ok := rec.(runlog.Eval); ok && e.Best {
			found = e
		}
	}
	return found
}

// baseline returns the baseline that the run has logged, or the zero value if the
// log has none.
func (j *journal) baseline() (found runlog.Baseline) {
	for _, rec := range j.records {
		if b, ok := rec.(runlog.Baseline); ok {
			found = b
		}
	}
	return found
}
