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

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/rows"
)

// earlier is what earlier runs have left in a file of results.
type earlier struct {
	format rows.Format
	rows   []keptRow
	size   int64
	stands []span // in order, no two of them side by side
}

// span is a piece of a file, in bytes.
type span struct{ from, to int64 }

// keptRow is a row of an earlier run that stands.
type keptRow struct {
	tally
	made

	id      string
	gradeID string // empty where the grade is not kept
}

// made says what a grade was made with. In CSV nothing but the grade's id tells.
type made struct{ judge, prompt, rubric string }

func madeOf(g *api.Grade) made {
	if g == nil || g.Provenance.Degraded {
		return made{}
	}
	return made{judge: g.Provenance.Judge, prompt: g.Provenance.PromptDigest, rubric: g.Provenance.RubricDigest}
}

// unlike says in what way this was not made like that; empty where it was, or
// where that is not known.
func (m made) unlike(now made) string {
	other := func(was, is string) bool { return was != "" && is != "" && was != is }
	switch {
	case other(m.judge, now.judge):
		return "by the " + m.judge + " judge"
	case other(m.rubric, now.rubric):
		return "against another rubric"
	case other(m.prompt, now.prompt):
		return "with other prompts"
	}
	return ""
}

// errForeign says that a file holds something else than results.
var errForeign = errors.New("this is not a file of results")

// readEarlier reads what is in the file of results, and changes nothing. The
// format goes by the name.
func readEarlier(name string) (*earlier, error) {
	if name == stdio {
		return &earlier{format: rows.NDJSON}, nil
	}
	old := &earlier{}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jsonl", ".ndjson":
		old.format = rows.NDJSON
	case ".csv":
		old.format = rows.CSV
	default:
		return nil, usage(fmt.Errorf("%s: results are written as .jsonl or .csv", name))
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return old, nil
	case err != nil:
		return nil, usage(err)
	case info.IsDir():
		return nil, usage(fmt.Errorf("%s is a folder", name))
	case !info.Mode().IsRegular():
		return old, nil // a pipe or a device, which has kept nothing
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, usage(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	old.size = info.Size()
	if old.format == rows.CSV {
		err = old.readCSV(file)
	} else {
		err = old.readNDJSON(file)
	}
	if err != nil {
		return nil, usage(fmt.Errorf("%s: %w; name another file, or remove it", name, err))
	}
	return old, nil
}

// firstBytes is how every line of NDJSON begins.
const firstBytes = `{"index":`

// readNDJSON reads the lines that have an end. One that is damaged is dropped, so
// that its answer is graded again.
func (e *earlier) readNDJSON(file *os.File) error {
	in := bufio.NewReaderSize(file, 1<<16)
	seen := make(map[string]bool)
	known := false // it was written by us
	for at := int64(0); ; {
		line, err := in.ReadBytes('\n')
		here := span{at, at + int64(len(line))}
		at = here.to
		switch {
		case errors.Is(err, io.EOF):
			if ours := bytes.HasPrefix(line, []byte(firstBytes)) || bytes.HasPrefix([]byte(firstBytes), line); !known && !ours {
				return errForeign
			}
			return nil
		case err != nil:
			return err
		}
		var row api.ResultRow
		if json.Unmarshal(line, &row) != nil || row.ID == "" || row.Status == "" {
			if !known {
				return errForeign
			}
			continue
		}
		known = true
		if !stands(row.Status) || seen[row.ID] {
			continue
		}
		seen[row.ID] = true
		k := keptRow{id: row.ID, tally: tallyOf(row.Status, row.Grade), made: madeOf(row.Grade)}
		if row.Grade != nil && row.Grade.ID != nil {
			k.gradeID = *row.Grade.ID
		}
		e.keep(k, here)
	}
}

func stands(s api.RowStatus) bool { return s == api.RowGraded || s == api.RowNeedsReview }

// readCSV is readNDJSON for CSV.
func (e *earlier) readCSV(file *os.File) error {
	in := csv.NewReader(bufio.NewReader(file))
	in.ReuseRecord = true
	header, err := in.Read()
	begun := span{0, in.InputOffset()}
	ended := func(s span) bool { // a row that was cut reads like one that was not
		var last [1]byte
		_, err := file.ReadAt(last[:], s.to-1)
		return err == nil && last[0] == '\n'
	}
	whole := strings.Join(rows.Columns, ",")
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil && !ended(begun) && strings.HasPrefix(whole, strings.Join(header, ",")):
		return nil // cut within the header
	case err != nil || !slices.Equal(header, rows.Columns):
		return errForeign
	}
	e.stands = []span{begun}
	column := make(map[string]int, len(rows.Columns))
	for i, name := range rows.Columns {
		column[name] = i
	}
	seen := make(map[string]bool)
	for {
		here := span{from: in.InputOffset()}
		cells, err := in.Read()
		here.to = in.InputOffset()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, new(*csv.ParseError)):
			continue
		case err != nil:
			return err
		}
		id, status := strings.Clone(cells[column["id"]]), api.RowStatus(cells[column["status"]])
		if !stands(status) || seen[id] || !ended(here) {
			continue
		}
		seen[id] = true
		k := keptRow{id: id, gradeID: strings.Clone(cells[column["grade_id"]]), tally: tally{
			status:   api.RowStatus(strings.Clone(string(status))),
			question: strings.Clone(cells[column["question_id"]]),
			missed:   strings.Fields(strings.Clone(cells[column["missed"]])),
		}}
		if score, err := strconv.ParseFloat(cells[column["score"]], 64); err == nil {
			k.score = &score
		}
		e.keep(k, here)
	}
}

func (e *earlier) keep(row keptRow, at span) {
	e.rows = append(e.rows, row)
	if last := len(e.stands) - 1; last >= 0 && e.stands[last].to == at.from {
		e.stands[last].to = at.to
		return
	}
	e.stands = append(e.stands, at)
}

// begun reports whether something of the file stands.
func (e *earlier) begun() bool { return len(e.stands) > 0 }

// cut takes out of the file what does not stand.
func (e *earlier) cut(name string) error {
	switch {
	case e.size == 0, len(e.stands) == 1 && e.stands[0] == span{0, e.size}:
		return nil
	case !e.begun():
		return cutAt(name, 0)
	case len(e.stands) == 1 && e.stands[0].from == 0:
		return cutAt(name, e.stands[0].to)
	}
	return e.rewrite(name)
}

func cutAt(name string, size int64) error {
	if err := os.Truncate(name, size); err != nil {
		return usage(err)
	}
	return nil
}

// rewrite puts what stands in place of the file: all of it or nothing, so that a
// crash leaves the one or the other.
func (e *earlier) rewrite(name string) error {
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return usage(err)
	}
	file, err := os.OpenFile(name, os.O_RDWR, 0) // a file that must not be written is not replaced either
	if err != nil {
		return usage(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	return replace(name, func(w io.Writer) error {
		for _, s := range e.stands {
			if _, err := io.Copy(w, io.NewSectionReader(file, s.from, s.to-s.from)); err != nil {
				return err
			}
		}
		return nil
	})
}

// replace puts what write writes in place of a file.
func replace(name string, write func(io.Writer) error) error {
	beside, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return usage(err)
	}
	defer func() { _ = os.Remove(beside.Name()) }() // gone once renamed
	if info, err := os.Stat(name); err == nil {
		_ = beside.Chmod(info.Mode()) // as far as we may
	}
	err = errors.Join(write(beside), beside.Sync(), beside.Close())
	if err == nil {
		err = os.Rename(beside.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("rewrite %s: %w", name, err)
	}
	return nil
}
