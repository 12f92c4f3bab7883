package web

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/http"
	"strconv"

	"github.com/gradus-ai/gradus/internal/api"
)

// batchesSheet is the page where a batch begins.
type batchesSheet struct {
	Sets []setSheet // to choose the question of rows that name none
	Max  string
}

// batches answers GET /batches.
func (p *Page) batches(w http.ResponseWriter, r *http.Request) error {
	client, err := p.client(r)
	if err != nil {
		return err
	}
	sets, err := client.Sets(r.Context())
	if err != nil {
		return err
	}
	s := batchesSheet{Max: fmt.Sprintf("%d MB", api.MaxBatchBody>>20)}
	for _, set := range sets {
		s.Sets = append(s.Sets, lines(set))
	}
	return p.render(w, r, http.StatusOK, "batches", sheet{Title: "Grade many answers", Nav: "batches", Style: "batches.css", Module: "upload.js", Content: s})
}

// batchSheet is the page of one batch. What is in it is read by the page's
// module, which follows the batch to its end.
type batchSheet struct {
	ID string
}

// batch answers GET /batches/{id}.
func (p *Page) batch(w http.ResponseWriter, r *http.Request) error {
	client, err := p.client(r)
	if err != nil {
		return err
	}
	// Asks for the key, where one is needed, before the page does.
	if _, err := client.Sets(r.Context()); err != nil {
		return err
	}
	s := batchSheet{ID: r.PathValue("id")}
	return p.render(w, r, http.StatusOK, "batch", sheet{Title: "Batch", Nav: "batches", Style: "batches.css", Module: "batch.js", Content: s})
}

// sampleCSV answers GET /batches/sample.csv: a file to try a batch with, of
// questions that this service has.
func (p *Page) sampleCSV(w http.ResponseWriter, r *http.Request) error {
	client, err := p.client(r)
	if err != nil {
		return err
	}
	sets, err := client.Sets(r.Context())
	if err != nil {
		return err
	}
	known := map[string]bool{}
	some := ""
	for _, set := range sets {
		for _, q := range set.Questions {
			ref := set.ID + "/" + q.ID
			known[ref] = true
			if some == "" {
				some = ref
			}
		}
	}
	var out bytes.Buffer
	file := csv.NewWriter(&out)
	rows := [][]string{{"id", "question_id", "answer"}}
	for i, e := range examples {
		ref := e.QuestionID
		if !known[ref] {
			ref = some // it will do badly there, but it shows the form
		}
		rows = append(rows, []string{"candidate-" + strconv.Itoa(i+1), ref, e.Answer})
	}
	if err := file.WriteAll(rows); err != nil {
		return fmt.Errorf("write the sample: %w", err)
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="gradus-sample.csv"`)
	_, err = w.Write(out.Bytes())
	return err
}
