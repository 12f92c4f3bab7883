package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rows"
)

// results is the file of results: what earlier runs have made, and what this one
// adds. What was written is on the disk within syncEvery, also after a crash of
// the machine.
type results struct {
	writer *rows.Writer
	file   *os.File // nil for standard output
	kept   []keptRow

	mu     sync.Mutex
	dirty  bool
	failed error
	stop   chan struct{}
	done   sync.WaitGroup
}

// syncEvery is how long a row may be on its way to the disk. Each row on its own
// would make a disk the slowest part of grading.
const syncEvery = 100 * time.Millisecond

// keptRow is a row of an earlier run that stands.
type keptRow struct {
	tally
	id      string
	grade   *api.Grade // nil in CSV
	gradeID string     // empty where the grade is not kept
}

// openResults opens the file of results and reads what is in it. Rows that stand
// stay; failed ones, and a torn last line, are dropped.
func openResults(name string, stdout io.Writer) (*results, error) {
	if name == stdio {
		return newResults(rows.NewWriter(stdout, rows.NDJSON), nil, nil), nil
	}
	format, err := formatOf(name, "")
	if err != nil || format == rows.JSON {
		return nil, usage(fmt.Errorf("%s: results are written as .jsonl or .csv", name))
	}
	old, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, usage(err)
	}
	read := readNDJSON
	if format == rows.CSV {
		read = readCSV
	}
	standing, kept, err := read(old)
	if err != nil {
		return nil, usage(fmt.Errorf("%s: %w; name another file, or remove it", name, err))
	}
	if !bytes.Equal(standing, old) {
		// Beside the old one, so that a crash leaves one or the other.
		if err := replace(name, standing); err != nil {
			return nil, err
		}
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, usage(err)
	}
	writer := rows.NewWriter(file, format)
	if len(standing) > 0 {
		writer = rows.Resume(file, format)
	}
	return newResults(writer, file, kept), nil
}

func newResults(w *rows.Writer, file *os.File, kept []keptRow) *results {
	r := &results{writer: w, file: file, kept: kept, stop: make(chan struct{})}
	r.done.Go(func() {
		tick := time.NewTicker(syncEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.sync()
			case <-r.stop:
				return
			}
		}
	})
	return r
}

// replace puts a text in place of a file, all of it or nothing.
func replace(name string, text []byte) error {
	beside, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return usage(err)
	}
	defer func() { _ = os.Remove(beside.Name()) }() // gone once renamed
	if info, err := os.Stat(name); err == nil {
		_ = beside.Chmod(info.Mode()) // as far as we may
	}
	_, err = beside.Write(text)
	err = errors.Join(err, beside.Sync(), beside.Close())
	if err == nil {
		err = os.Rename(beside.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("rewrite %s: %w", name, err)
	}
	return nil
}

// errForeign says that a file holds something else than results.
var errForeign = errors.New("this is not a file of results")

// readNDJSON reads rows up to the first that is torn, and returns the lines that
// stand.
func readNDJSON(old []byte) (standing []byte, kept []keptRow, err error) {
	seen := make(map[string]bool)
	for line := range bytes.Lines(old) {
		var row api.ResultRow
		if err := json.Unmarshal(line, &row); err != nil || row.ID == "" || row.Status == "" {
			if len(standing) == 0 && len(line) < len(old) {
				return nil, nil, errForeign
			}
			break // torn: nothing that follows was ever on the disk before it
		}
		if line[len(line)-1] != '\n' {
			break
		}
		if stands(row.Status) && !seen[row.ID] {
			seen[row.ID] = true
			standing = append(standing, line...)
			k := keptRow{id: row.ID, tally: tallyOf(row.Status, row.Grade), grade: row.Grade}
			if row.Grade != nil && row.Grade.ID != nil {
				k.gradeID = *row.Grade.ID
			}
			kept = append(kept, k)
		}
	}
	return standing, kept, nil
}

func stands(s api.RowStatus) bool { return s == api.RowGraded || s == api.RowNeedsReview }

// readCSV is readNDJSON for CSV.
func readCSV(old []byte) (standing []byte, kept []keptRow, err error) {
	if len(old) == 0 {
		return nil, nil, nil
	}
	whole := old[:bytes.LastIndexByte(old, '\n')+1]
	in := csv.NewReader(bufio.NewReader(bytes.NewReader(whole)))
	header, err := in.Read()
	if len(whole) == 0 {
		return nil, nil, nil // a torn header
	}
	if err != nil || !slices.Equal(header, rows.Columns) {
		return nil, nil, errForeign
	}
	at := func(cells []string, column string) string { return cells[slices.Index(rows.Columns, column)] }
	standing = append(standing, whole[:in.InputOffset()]...)
	seen := make(map[string]bool)
	for {
		from := in.InputOffset()
		cells, torn := in.Read()
		if torn != nil { // or the end
			break
		}
		id, status := strings.TrimPrefix(at(cells, "id"), "'"), api.RowStatus(at(cells, "status"))
		if stands(status) && !seen[id] {
			seen[id] = true
			standing = append(standing, whole[from:in.InputOffset()]...)
			k := keptRow{id: id, gradeID: at(cells, "grade_id"), tally: tally{status: status, question: at(cells, "question_id"), missed: strings.Fields(at(cells, "missed"))}}
			if score, err := strconv.ParseFloat(at(cells, "score"), 64); err == nil {
				k.score = &score
			}
			kept = append(kept, k)
		}
	}
	return standing, kept, nil //nolint:nilerr // a torn row was never finished
}

// Kept is how many rows earlier runs have left.
func (r *results) Kept() int { return len(r.kept) }

// Write adds a row.
func (r *results) Write(row *rows.Result) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return r.failed
	}
	if err := r.writer.WriteRaw(row); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	r.dirty = true
	return nil
}

// sync brings what was written to the disk.
func (r *results) sync() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.dirty || r.failed != nil {
		return
	}
	r.dirty = false
	err := r.writer.Flush()
	if err == nil && r.file != nil {
		err = r.file.Sync()
	}
	if err != nil {
		r.failed = fmt.Errorf("write results: %w", err)
	}
}

// Close ends the file. It may be called once.
func (r *results) Close() error {
	close(r.stop)
	r.done.Wait()
	r.sync()
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.failed
	if err == nil {
		err = r.writer.Close()
	}
	if r.file != nil {
		err = errors.Join(err, r.file.Close())
	}
	return err
}

// remaining are the answers that results do not have yet. Rows that another
// judge, prompt or rubric has made, or that are of another answer, are an error
// unless they may be mixed.
func (f *batchFlags) remaining(a *app.App, answers []answered, r *results) ([]answered, error) {
	kept := make(map[string]*keptRow, len(r.kept))
	for i := range r.kept {
		kept[r.kept[i].id] = &r.kept[i]
	}
	todo := make([]answered, 0, len(answers))
	for _, answer := range answers {
		row := kept[answer.id]
		if row == nil {
			todo = append(todo, answer)
			continue
		}
		if f.mix {
			continue
		}
		if reason, err := differs(a, row, answer); err != nil || reason != "" {
			if err != nil {
				return nil, err
			}
			return nil, usage(fmt.Errorf("%s: %s was graded %s; name another file, or allow both with --mix", f.out, answer.id, reason))
		}
	}
	return todo, nil
}

// differs says in what way a row was not made as it would be made now; empty
// where it was.
func differs(a *app.App, row *keptRow, answer answered) (string, error) {
	name, _, prompt, err := a.Service().Versions(grading.Auto)
	if err != nil {
		return "", err
	}
	if g := row.grade; g != nil && !g.Provenance.Degraded {
		switch p := g.Provenance; {
		case p.Judge != name:
			return "by the " + p.Judge + " judge", nil
		case p.RubricDigest != answer.question.Digest():
			return "against another rubric", nil
		case p.PromptDigest != prompt:
			return "with other prompts", nil
		}
	}
	if row.gradeID == "" {
		return "", nil
	}
	id, err := a.Service().ID(grading.Request{Tenant: app.LocalTenant, Question: answer.question, Answer: answer.text, Judge: grading.Auto})
	if err != nil || id == row.gradeID {
		return "", err
	}
	return "from another answer, or by another judge, prompt or rubric", nil
}

// wireRow is a result as it is written.
func wireRow(r *batch.Result, index int, detail grading.Detail) (*rows.Result, error) {
	row := &rows.Result{Index: index, ID: r.ID, Status: api.RowStatus(r.Status), Grade: r.Grade}
	if r.Grade == nil {
		row.Error = problemOf(r.Reason)
		return row, nil
	}
	if detail != "" && detail != grading.Full {
		var g grading.Grade
		if err := json.Unmarshal(r.Grade, &g); err != nil {
			return nil, fmt.Errorf("decode the grade of %s: %w", r.ID, err)
		}
		text, err := json.Marshal(g.At(detail))
		if err != nil {
			return nil, fmt.Errorf("encode the grade of %s: %w", r.ID, err)
		}
		row.Grade = text
	}
	return row, nil
}

// problemOf is the problem that a reason stands for.
func problemOf(reason string) *api.Problem {
	for _, t := range api.ProblemTypes() {
		if t.Slug() == reason {
			return &api.Problem{Type: t.Type, Title: t.Title, Status: t.Status, Detail: t.Meaning}
		}
	}
	return &api.Problem{Type: api.Internal.Type, Title: api.Internal.Title, Status: api.Internal.Status}
}
