// Package eval measures the grader against people: it grades answers that
// people have scored, through the same Service as everything else, and reports
// how well the two agree and how sure that is.
//
// It knows the shape of human-scored data, how to make a question of a row
// that brings no rubric, and how to go on where a run ended. The statistics
// are package agreement's, the grades package grading's; neither a judge nor
// a command line is known here.
package eval

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// ErrGold is wrapped by every error about human-scored data that cannot be
// used; the message names the line.
var ErrGold = errors.New("the human-scored data cannot be used")

// Row is one answer that people have scored, as it stands on one line of a
// gold file. Fields it does not name are allowed and ignored.
type Row struct {
	// Dataset names the collection; a file may hold several.
	Dataset string `json:"dataset"`
	// AnswerID is unique in the file; "line-N" where the row has none.
	AnswerID string `json:"answer_id"`
	// QuestionID tells questions apart. Where the row brings no question of
	// its own, it is SET/QUESTION of a loaded set.
	QuestionID string `json:"question_id"`
	// QuestionNo is the place of the question in a set that the caller names,
	// from 1; 0 where the row has none.
	QuestionNo int    `json:"question_no"`
	Question   string `json:"question"`
	// References are answers that people hold to be right, if any.
	References []string        `json:"reference_answers"`
	Criteria   []GoldCriterion `json:"criteria"`
	// Rubric is what the raters were told beyond the criteria, as prose.
	Rubric string `json:"rubric"`
	Answer string `json:"answer"`
	// HumanScore is in 0..MaxScore; MaxScore is 1 where the row has none.
	HumanScore *float64 `json:"human_score"`
	MaxScore   float64  `json:"max_score"`
	// HumanScores has the score of every rater, where there were several.
	HumanScores []float64 `json:"human_scores"`
	// Labels says of criteria how far they are met (0 to 1), Votes what each
	// rater said (0 or 1).
	Labels map[string]float64   `json:"criterion_labels"`
	Votes  map[string][]float64 `json:"criterion_votes"`
}

// GoldCriterion is one criterion of a row. The statement may also be called
// "text"; Label is how far people found it met.
type GoldCriterion struct {
	ID        string   `json:"id"`
	Statement string   `json:"statement"`
	Text      string   `json:"text"`
	Weight    float64  `json:"weight"`
	Label     *float64 `json:"label"`
}

// Human is the human score on 0..1.
func (r *Row) Human() float64 { return *r.HumanScore / r.MaxScore }

// Gold is a file of human-scored answers.
type Gold struct {
	Rows []Row
	// Digest is "sha256:HEX" of the file.
	Digest string
}

// maxLine bounds one line of a gold file, in bytes; mostFaults how many faults
// are named.
const (
	maxLine    = 16 << 20
	mostFaults = 10
)

// ReadGold reads human-scored answers, one JSON object a line. Every error
// wraps ErrGold, or is the reader's.
func ReadGold(r io.Reader) (*Gold, error) {
	digest := sha256.New()
	scan := bufio.NewScanner(io.TeeReader(r, digest))
	scan.Buffer(nil, maxLine)
	gold := &Gold{}
	var faults []error
	seen := make(map[string]int)
	for line := 1; scan.Scan(); line++ {
		raw := bytes.TrimSpace(scan.Bytes())
		if line == 1 {
			raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
		}
		if len(raw) == 0 {
			continue
		}
		row, err := readRow(raw, line)
		if err == nil {
			if first, again := seen[row.AnswerID]; again {
				err = fmt.Errorf("answer_id %q stands on line %d already", row.AnswerID, first)
			}
			seen[row.AnswerID] = line
		}
		if err != nil {
			if faults = append(faults, fmt.Errorf("line %d: %w", line, err)); len(faults) == mostFaults {
				break
			}
			continue
		}
		gold.Rows = append(gold.Rows, *row)
	}
	if err := scan.Err(); err != nil {
		if !errors.Is(err, bufio.ErrTooLong) {
			return nil, fmt.Errorf("read gold: %w", err)
		}
		faults = append(faults, fmt.Errorf("a line is longer than %d MiB", maxLine>>20))
	}
	if len(faults) == 0 && len(gold.Rows) == 0 {
		faults = append(faults, errors.New("it has no rows"))
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrGold, errors.Join(faults...))
	}
	gold.Digest = "sha256:" + hex.EncodeToString(digest.Sum(nil))
	return gold, nil
}

func readRow(raw []byte, line int) (*Row, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("it is not UTF-8 text")
	}
	var r Row
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, jsonFault(err)
	}
	if r.AnswerID == "" {
		r.AnswerID = fmt.Sprintf("line-%d", line)
	}
	if r.MaxScore == 0 {
		r.MaxScore = 1
	}
	switch {
	case r.HumanScore == nil:
		return nil, errors.New("human_score is missing")
	case r.MaxScore < 0:
		return nil, errors.New("max_score is not above 0")
	case *r.HumanScore < 0 || *r.HumanScore > r.MaxScore:
		return nil, fmt.Errorf("human_score %g is not in 0..%g", *r.HumanScore, r.MaxScore)
	case r.QuestionID == "" && r.QuestionNo == 0 && r.Question == "":
		return nil, errors.New("it names no question: neither question_id nor question")
	}
	if r.QuestionID == "" {
		if r.QuestionNo > 0 {
			r.QuestionID = fmt.Sprintf("question-%d", r.QuestionNo)
		} else {
			sum := sha256.Sum256([]byte(r.Question))
			r.QuestionID = "question-" + hex.EncodeToString(sum[:4])
		}
	}
	for i := range r.Criteria {
		c := &r.Criteria[i]
		if c.Statement == "" {
			c.Statement = c.Text
		}
		if strings.TrimSpace(c.Statement) == "" || c.ID == "" {
			return nil, fmt.Errorf("criterion %d needs an id and a statement", i+1)
		}
		if c.Label != nil {
			if r.Labels == nil {
				r.Labels = make(map[string]float64)
			}
			r.Labels[c.ID] = *c.Label
		}
	}
	for id, label := range r.Labels {
		if label < 0 || label > 1 {
			return nil, fmt.Errorf("the label of criterion %s, %g, is not in 0..1", id, label)
		}
	}
	return &r, nil
}

// jsonFault says what is wrong with JSON without quoting the text around it.
func jsonFault(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("%s has the wrong type: %s", kind.Field, kind.Value)
	}
	return errors.New("it is not a JSON object")
}

// TwoWay reports whether people only said right or wrong.
func (g *Gold) TwoWay() bool {
	for i := range g.Rows {
		if h := g.Rows[i].Human(); math.Abs(h-0.5) < 0.5-1e-9 {
			return false
		}
	}
	return true
}

// Spread keeps n rows, spread over the questions in their order: the first
// answer to each, then the second, and so on. It is all rows when n is 0 or
// more than there are. The digest stays that of the file.
func (g *Gold) Spread(n int) *Gold {
	if n <= 0 || n >= len(g.Rows) {
		return g
	}
	taken := make(map[string]int) // question to how many of its answers came before
	round := make([]int, len(g.Rows))
	rounds := 0
	for i := range g.Rows {
		q := g.Rows[i].QuestionID
		round[i] = taken[q]
		taken[q]++
		rounds = max(rounds, taken[q])
	}
	out := &Gold{Digest: g.Digest}
	for k := 0; k < rounds && n > 0; k++ {
		for i := range g.Rows {
			if round[i] == k && n > 0 {
				out.Rows = append(out.Rows, g.Rows[i])
				n--
			}
		}
	}
	return out
}
