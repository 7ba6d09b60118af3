package evaluate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/identity"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/outfile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// files are the files of an evaluation in its directory.
type files struct {
	dir, suffix string
	name        string   // of the task whose file is open
	file        *os.File // nil if none is
	lock        *os.File // nil if it is not held
	keep        bool     // lines after the last whole chunk are not removed
}

// samples returns the path of the answers to a task.
func (f *files) samples(task string) string {
	return filepath.Join(f.dir, "samples_"+task+"_"+f.suffix+".jsonl")
}

// append adds lines to the file of a task, and returns when they are on the disk.
func (f *files) append(task string, lines []line) error {
	if f.name != task {
		f.close()
		file, err := os.OpenFile(f.samples(task), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
		if err != nil {
			return f.fault(task, err)
		}
		f.name, f.file = task, file
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, l := range lines {
		if err := encoder.Encode(l); err != nil {
			return f.fault(task, err)
		}
	}
	_, err := f.file.Write(b.Bytes())
	if err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		return f.fault(task, err)
	}
	return nil
}

func (f *files) fault(task string, err error) error {
	return fmt.Errorf("evaluate: write %s: %w", f.samples(task), place.WithoutPath(err))
}

func (f *files) close() {
	if f.file != nil {
		f.file.Close()
	}
	f.name, f.file = "", nil
}

// take takes the lock of the evaluation of a benchmark, so that another process does not answer the same questions into
// the same files. Evaluations of other benchmarks have other files and may use the directory at the same time.
func (f *files) take(name string) error {
	path := filepath.Join(f.dir, ".lock_"+name+"_"+f.suffix)
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return place.Given(fmt.Errorf("evaluate: open %s: %w", f.dir, err))
	}
	// An evaluation on a file system without locks is not refused.
	if err := checkpoint.Lock(lock); errors.Is(err, checkpoint.ErrLocked) {
		lock.Close()
		return place.Mistake(fmt.Errorf("evaluate: open %s: another process is evaluating %s there; wait for it, or name "+
			"another directory with --out", f.dir, name))
	}
	f.lock = lock
	return nil
}

// release lets other processes use the files.
func (f *files) release() {
	if f.lock != nil {
		f.lock.Close()
	}
	f.lock = nil
}

// open locks the evaluation in its directory and reads the answers that the directory has of it, or begins it.
func (e *Evaluation) open() error {
	e.files = &files{dir: e.Out, suffix: "rolling"}
	if e.benchmark != nil {
		e.files.suffix = string(e.benchmark.Protocol)
	}
	if err := os.MkdirAll(e.Out, 0o777); err != nil {
		return place.Given(fmt.Errorf("evaluate: open %s: %w", e.Out, err))
	}
	err := e.files.take(e.name())
	if err == nil {
		err = e.resume()
	}
	if err != nil {
		e.files.release()
	}
	return err
}

// name returns the name of the benchmark.
func (e *Evaluation) name() string {
	if e.benchmark == nil {
		return "perplexity"
	}
	return e.benchmark.Name
}

// settingsPath returns the path of the file that says what decides the answers.
func (e *Evaluation) settingsPath() string {
	return filepath.Join(e.Out, "settings_"+e.name()+"_"+e.files.suffix+".json")
}

// resume reads the answers that the directory has, or writes the settings of a new evaluation.
func (e *Evaluation) resume() error {
	path, now := e.settingsPath(), e.identity()
	raw, err := infile.Read(path, infile.Config)
	if errors.Is(err, fs.ErrNotExist) {
		return outfile.WriteJSON(path, now)
	}
	if err != nil {
		return fmt.Errorf("evaluate: read %s: %w", path, err)
	}
	var was map[string]string
	if err := strictjson.Unmarshal(raw, &was); err != nil {
		return place.Mistake(fmt.Errorf("evaluate: read %s:%w; want the JSON that an evaluation writes, or another "+
			"directory", path, err))
	}
	// The device is compared by On, because no device is opened for an evaluation that is complete.
	e.device = was["device"]
	delete(was, "device")
	if differences := identity.CompareMaps(was, now); differences != nil {
		headline := fmt.Sprintf("evaluate: open %s: it has another evaluation of %s; name another directory:", e.Out,
			e.name())
		return place.Mistake(errors.New(identity.List(headline, "directory", differences)))
	}
	return e.continued()
}

// On records the device that computes the answers, before Run. It returns an error if the directory has answers that
// another device computed, because two devices do not round alike.
func (e *Evaluation) On(device string) error {
	if len(e.scored) > 0 && device != e.device {
		return place.Mistake(fmt.Errorf("evaluate: open %s: its answers were computed on %s, and this device is %s; name "+
			"another directory with --out, or that device with --device", e.Out, place.Quote(e.device), place.Quote(device)))
	}
	if device == e.device {
		return nil
	}
	e.device = device
	now := e.identity()
	now["device"] = device
	return outfile.WriteJSON(e.settingsPath(), now)
}

// Close lets other processes use the files of the evaluation.
func (e *Evaluation) Close() { e.files.release() }

// identity returns what decides the answers, except for the device.
func (e *Evaluation) identity() map[string]string {
	id := maps.Clone(e.Identity)
	id["evaluation"] = e.title
	id["seed"] = fmt.Sprint(e.Seed)
	id["limit"] = fmt.Sprint(e.Limit)
	id["positions"] = fmt.Sprint(e.MaxTokens)
	var all strings.Builder
	for _, q := range e.questions {
		fmt.Fprintf(&all, "%s %d %s\n", q.task, q.row, q.digest())
	}
	id["questions"] = hash(all.String())
	if e.benchmark != nil {
		id["shots"], id["samples"] = fmt.Sprint(e.benchmark.Shots), fmt.Sprint(e.samples)
	}
	return id
}

// digest identifies the content of a question.
func (q question) digest() string {
	it := q.item
	return hash(fmt.Sprintf("%q", []string{q.content, it.Prompt(len(it.Shots)), it.Label, it.Code.Test}))
}

// continued reads the answers of an evaluation that was interrupted or is done. It removes the lines after the last
// whole chunk.
func (e *Evaluation) continued() error {
	for rest := e.questions; len(rest) > 0; {
		n := 0 // questions of the task
		for n < len(rest) && rest[n].task == rest[0].task {
			n++
		}
		lines, err := e.files.read(rest[:n], e.metrics())
		if err != nil {
			return err
		}
		e.scored = append(e.scored, lines...)
		if len(lines) < n {
			return nil
		}
		rest = rest[n:]
	}
	return nil
}

// read returns the answers to the questions of one task, up to the last whole chunk. Each must have the scores called
// metrics.
func (f *files) read(questions []question, metrics []string) (lines []line, err error) {
	task := questions[0].task
	path := f.samples(task)
	raw, err := infile.Read(path, infile.Log)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("evaluate: read %s: %w", path, err)
	}
	whole, count, end := 0, 0, 0 // bytes and lines of whole chunks, and bytes of lines
	bound := chunk(questions)
	for text := range bytes.Lines(raw) {
		if !bytes.HasSuffix(text, []byte("\n")) {
			break // a write that was cut off
		}
		if len(lines) == len(questions) {
			return nil, place.Mistake(fmt.Errorf("evaluate: read %s:%d: the task has %s; remove the file to answer "+
				"them again", path, len(lines)+1, place.Count(len(questions), "question", "questions")))
		}
		l := line{task: task}
		if err := json.Unmarshal(text, &l); err != nil || l.DocID != questions[len(lines)].row ||
			!slices.Equal(l.Metrics, metrics) {
			return nil, place.Mistake(fmt.Errorf("evaluate: read %s:%d: it is not the answer to row %d; remove the file to "+
				"answer its questions again", path, len(lines)+1, questions[len(lines)].row))
		}
		lines, end = append(lines, l), end+len(text)
		if len(lines) == bound {
			whole, count = end, bound
			if bound < len(questions) {
				bound += chunk(questions[bound:])
			}
		}
	}
	if whole == len(raw) {
		return lines, nil
	}
	lines = lines[:count]
	if f.keep {
		return lines, nil
	}
	if err := os.Truncate(path, int64(whole)); err != nil {
		return nil, f.fault(task, err)
	}
	return lines, nil
}
