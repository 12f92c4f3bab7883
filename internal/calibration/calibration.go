// Package calibration moves a judge's scores to where people put them, question
// by question, from a few answers that people have scored.
//
// It fits and applies corrections and reads and writes them as a small file.
// Whether a correction is worth having is decided elsewhere, on answers it was
// not fitted on. The package imports nothing of ours and touches no disk.
package calibration

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

const (
	// Fewest labels of a question that say anything about it.
	Fewest = 3
	// CurveFrom is the number of labels from which a curve may be fitted.
	CurveFrom = 50
	// shrink is how many labels without an error an offset is held back by:
	// k labels count k/(k+3), so that a few do not move a question by their
	// noise.
	shrink = 3
)

// Label is a score of the judge with what people gave, both on 0..1.
type Label struct{ Score, Human float64 }

// Correction maps the judge's score of one question to a better one. Without a
// Curve it adds Offset; the result stays in 0..1.
type Correction struct {
	// Question is the question's SET/QUESTION, for people; what binds it is
	// the digest it is kept under.
	Question string  `json:"question"`
	Labels   int     `json:"labels"`
	Offset   float64 `json:"offset,omitempty"`
	// Curve has the corners of a rising line, by score.
	Curve []Point `json:"curve,omitempty"`
}

// Point is one corner of a curve.
type Point struct {
	Score float64 `json:"score"`
	Human float64 `json:"human"`
}

// Fit finds a correction; ok is false with fewer than Fewest labels. The
// offset is the sum of the errors over k+3 for k labels. With curves allowed
// and CurveFrom labels it is the isotonic regression in place of an offset
// (pool adjacent violators, Ayer et al. 1955).
func Fit(labels []Label, curves bool) (c Correction, ok bool) {
	if len(labels) < Fewest {
		return Correction{}, false
	}
	c.Labels = len(labels)
	if curves && len(labels) >= CurveFrom {
		c.Curve = isotonic(labels)
		return c, true
	}
	sum := 0.0
	for _, l := range labels {
		sum += l.Human - l.Score
	}
	c.Offset = round(sum / float64(len(labels)+shrink))
	return c, true
}

// round keeps a file readable: a ten-thousandth is finer than any score.
func round(v float64) float64 { return math.Round(v*1e4) / 1e4 }

// Apply corrects a score on 0..1. A better score stays better or equal, and the
// result is at most twice the score: a correction moves what an answer has
// earned, and gives nothing to one that has earned nothing.
func (c *Correction) Apply(score float64) float64 {
	return min(max(c.shift(score), 0), 2*score, 1)
}

func (c *Correction) shift(score float64) float64 {
	if len(c.Curve) == 0 {
		return score + c.Offset
	}
	at, found := slices.BinarySearchFunc(c.Curve, score, func(p Point, s float64) int { return cmp.Compare(p.Score, s) })
	switch {
	case found:
		return c.Curve[at].Human
	case at == 0:
		return c.Curve[0].Human
	case at == len(c.Curve):
		return c.Curve[at-1].Human
	}
	a, b := c.Curve[at-1], c.Curve[at]
	return a.Human + (b.Human-a.Human)*(score-a.Score)/(b.Score-a.Score)
}

// block is a run of labels that share a value.
type block struct{ score, human, n float64 }

// isotonic is the rising line closest to the labels: runs that fall are
// pooled, and the line goes through the middle of each run.
func isotonic(labels []Label) []Point {
	sorted := slices.Clone(labels)
	slices.SortFunc(sorted, func(a, b Label) int {
		return cmp.Or(cmp.Compare(a.Score, b.Score), cmp.Compare(a.Human, b.Human))
	})
	var blocks []block
	for _, l := range sorted {
		b := block{l.Score, l.Human, 1}
		for len(blocks) > 0 {
			last := blocks[len(blocks)-1]
			if last.human < b.human && last.score < b.score {
				break
			}
			n := last.n + b.n
			b = block{(last.score*last.n + b.score*b.n) / n, (last.human*last.n + b.human*b.n) / n, n}
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
	}
	var out []Point
	for _, b := range blocks {
		p := Point{round(b.score), round(b.human)}
		if len(out) > 0 && out[len(out)-1].Score >= p.Score {
			continue // rounding made them one
		}
		out = append(out, p)
	}
	return out
}

// Version is the version of the file format.
const Version = 1

// ErrFile is wrapped by every error about a file that cannot be used.
var ErrFile = errors.New("the calibration cannot be used")

// ErrOtherJudge is returned for a file that is asked to correct the scores of
// another judge than it was fitted for, or of that judge with other models,
// prompts or settings.
var ErrOtherJudge = errors.New("it was fitted for another judge")

// File is a set of corrections with what they were made from.
type File struct {
	Version int `json:"version"`
	// JudgeID covers everything that could change the judge's scores; the
	// corrections hold for that judge only.
	JudgeID string `json:"judge_id"`
	Judge   string `json:"judge"`
	Model   string `json:"model,omitempty"`
	// Gold is the digest of the human-scored answers.
	Gold    string  `json:"gold"`
	HeldOut HeldOut `json:"held_out"`
	// Questions has the corrections by the question's digest.
	Questions map[string]Correction `json:"questions"`

	digest string
}

// Digest is "sha256:HEX" of the file as Parse read it; empty for one that was
// not read.
func (f *File) Digest() string { return f.digest }

// For is the correction of the question with a digest; nil where there is none.
func (f *File) For(digest string) *Correction {
	c, ok := f.Questions[digest]
	if !ok {
		return nil
	}
	return &c
}

// HeldOut says how corrections did on answers that they were not fitted on:
// errors on 0..1, before and after.
type HeldOut struct {
	Folds   int    `json:"folds"`
	Answers int    `json:"answers"`
	Before  Errors `json:"before"`
	After   Errors `json:"after"`
}

// Errors are distances from the human score, on 0..1.
type Errors struct {
	RMSE float64 `json:"rmse"`
	MAE  float64 `json:"mae"`
	Bias float64 `json:"bias"`
}

// Write writes the file as indented JSON.
func (f *File) Write(w io.Writer) error {
	out, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("encode calibration: %w", err)
	}
	_, err = w.Write(append(out, '\n'))
	return err
}

// Parse reads a file. Every error wraps ErrFile.
func Parse(data []byte) (*File, error) {
	var f File
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows its end", ErrFile)
	}
	if f.Version != Version {
		return nil, fmt.Errorf("%w: version %d is not known; this program reads version %d", ErrFile, f.Version, Version)
	}
	if f.JudgeID == "" {
		return nil, fmt.Errorf("%w: it names no judge", ErrFile)
	}
	for digest, c := range f.Questions {
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%w: question %s: %w", ErrFile, digest, err)
		}
	}
	sum := sha256.Sum256(data)
	f.digest = "sha256:" + hex.EncodeToString(sum[:])
	return &f, nil
}

func (c *Correction) check() error {
	if c.Offset < -1 || c.Offset > 1 {
		return errors.New("its offset is not in -1..1")
	}
	for i, p := range c.Curve {
		switch {
		case p.Score < 0 || p.Score > 1 || p.Human < 0 || p.Human > 1:
			return errors.New("its curve leaves 0..1")
		case i > 0 && (p.Score <= c.Curve[i-1].Score || p.Human < c.Curve[i-1].Human):
			return errors.New("its curve does not rise")
		}
	}
	return nil
}
