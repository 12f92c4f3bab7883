package eval

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/gradus-ai/gradus/internal/agreement"
	"github.com/gradus-ai/gradus/internal/calibration"
)

// ErrNoGain is returned when corrections do not bring grades closer to people,
// beyond chance, on answers that they were not fitted on.
var ErrNoGain = errors.New("calibration does not help on held-out answers")

// ErrCalibrated is returned for an outcome whose scores a calibration has moved.
var ErrCalibrated = errors.New("the scores are calibrated already")

// folds is how many parts the answers to each question are dealt into.
const folds = 5

// fewestDraws is how many draws the interval that decides takes at least.
const fewestDraws = 1000

// Calibrated is what calibrating found: how corrections do on held-out
// answers, and the corrections fitted on all of them.
type Calibrated struct {
	// Questions got a correction, Skipped ones have too few scored answers.
	Questions int `json:"questions"`
	Skipped   int `json:"skipped"`
	Answers   int `json:"answers"`
	// Curves is how many of the corrections are curves rather than offsets.
	Curves int `json:"curves"`
	// Before and After are figures on the same held-out answers; Gain is how
	// much the mean squared error fell, with its interval.
	Before Figures            `json:"before"`
	After  Figures            `json:"after"`
	Gain   agreement.Estimate `json:"gain"`

	File *calibration.File `json:"-"`
}

// Calibrate fits a correction for each question that has enough scored
// answers, and measures it on answers it was not fitted on: those of each
// question are dealt into 5 parts, and each part is corrected by what was
// fitted on the other four. Offsets are tried against offsets with curves
// where a question has 50 answers or more; the better is kept.
//
// The corrections hold for the judge of the outcome, for the model that graded
// most of it (what others graded does not count), and for questions whose text
// and criteria have not changed. Scores that were corrected before are no
// ground for a correction: ErrCalibrated. With ErrNoGain (the interval of the gain
// reaches down to nothing) there is no file; the figures are returned all the
// same.
func Calibrate(gold *Gold, out *Outcome, qs *Questions, b Bootstrap, seed uint64) (*Calibrated, error) {
	if out.Judge.Calibration != "" {
		return nil, ErrCalibrated
	}
	asked, err := questionsOf(gold, qs)
	if err != nil {
		return nil, err
	}
	rows := make([]*Row, len(gold.Rows))
	digests := make(map[*Row]*Asked, len(rows))
	for i := range rows {
		rows[i] = &gold.Rows[i]
		digests[rows[i]] = asked[i]
	}
	questions := make(map[string]*scored)
	var order []*scored
	pairs := join(rows, out.Predictions).pairs
	model := mostGraded(pairs)
	for _, p := range pairs {
		if p.p.Model != model {
			continue
		}
		a := digests[p.row]
		q := questions[a.Digest()]
		if q == nil {
			q = &scored{asked: a}
			questions[a.Digest()] = q
			order = append(order, q)
		}
		q.pairs = append(q.pairs, p)
	}
	random := rand.New(rand.NewPCG(seed, 0xca1))
	result := &Calibrated{}
	var kept []*scored
	for _, q := range order {
		// Where a fold leaves too few labels there is nothing to measure.
		if q.train() < calibration.Fewest {
			result.Skipped++
			continue
		}
		q.deal(random)
		kept = append(kept, q)
	}
	result.Questions = len(kept)
	if len(kept) == 0 {
		return result, fmt.Errorf("%w: no question has enough scored answers", ErrNoGain)
	}
	before, offsets, curves := heldOut(kept, false, false), heldOut(kept, true, false), heldOut(kept, true, true)
	after, withCurves := offsets, false
	if rmse(curves) < rmse(offsets) {
		after, withCurves = curves, true
	}
	result.Answers = len(before)
	if b.By == "" {
		b.By = intervalsBy(len(kept))
	}
	group := func(p *pair) int { return p.group }
	result.Before, result.After = estimates(before, group, b, scoreStatistics), estimates(after, group, b, scoreStatistics)
	// The gain decides, so it has an interval even where none is asked for.
	result.Gain = gain(before, after, Bootstrap{By: b.By, Rounds: max(b.Rounds, fewestDraws), Seed: b.Seed})
	if result.Gain.Low.Or(0) <= 0 {
		return result, ErrNoGain
	}
	result.File = &calibration.File{
		Version: calibration.Version, JudgeID: out.Judge.Judge, Judge: kept[0].pairs[0].p.Judge, Model: model, Gold: gold.Digest,
		HeldOut:   calibration.HeldOut{Folds: folds, Answers: len(before), Before: errorsOf(before), After: errorsOf(after)},
		Questions: make(map[string]calibration.Correction),
	}
	for _, q := range kept {
		// A curve is only for those whose curve was measured.
		c, ok := calibration.Fit(labelsOf(q.pairs), withCurves && q.train() >= calibration.CurveFrom)
		if !ok {
			continue
		}
		c.Question = q.asked.Ref
		if len(c.Curve) > 0 {
			result.Curves++
		}
		result.File.Questions[q.asked.Digest()] = c
	}
	return result, nil
}

// mostGraded is the model that graded the most answers, the first by name among
// equals; empty for a judge without one.
func mostGraded(pairs []pair) string {
	count := make(map[string]int)
	for _, p := range pairs {
		if p.p.Model != "" { // of a blank answer no model is asked
			count[p.p.Model]++
		}
	}
	most := ""
	for _, model := range slices.Sorted(maps.Keys(count)) {
		if count[model] > count[most] {
			most = model
		}
	}
	return most
}

// scored is a question with its scored answers, dealt into folds.
type scored struct {
	asked *Asked
	pairs []pair
	fold  []int
}

// train is how many answers a fit has at least when a fold is held out.
func (q *scored) train() int { return len(q.pairs) * (folds - 1) / folds }

// deal gives each answer a fold, so that folds differ by one answer at most.
func (q *scored) deal(random *rand.Rand) {
	q.fold = make([]int, len(q.pairs))
	for i, k := range random.Perm(len(q.pairs)) {
		q.fold[i] = k % folds
	}
}

// heldOut is every answer with the score it gets when it takes no part in the
// fit; with fit false, with the judge's own.
func heldOut(questions []*scored, fit, curves bool) []pair {
	var out []pair
	for _, q := range questions {
		for k := range folds {
			var train []pair
			for i, p := range q.pairs {
				if q.fold[i] != k {
					train = append(train, p)
				}
			}
			correction, ok := calibration.Correction{}, false
			if fit {
				correction, ok = calibration.Fit(labelsOf(train), curves)
			}
			for i, p := range q.pairs {
				if q.fold[i] != k {
					continue
				}
				if ok {
					p.score = correction.Apply(p.score)
					p.rounded = p.scale.Nearest(p.score)
				}
				out = append(out, p)
			}
		}
	}
	return out
}

func labelsOf(pairs []pair) []calibration.Label {
	out := make([]calibration.Label, len(pairs))
	for i, p := range pairs {
		out[i] = calibration.Label{Score: p.score, Human: p.human}
	}
	return out
}

func errorsOf(s []pair) calibration.Errors {
	return calibration.Errors{
		RMSE: rmse(s),
		MAE:  agreement.MAE(column(s, human), column(s, score)).Or(0),
		Bias: agreement.Bias(column(s, human), column(s, score)).Or(0),
	}
}

func rmse(s []pair) float64 { return agreement.RMSE(column(s, human), column(s, score)).Or(0) }

// gain is the fall of the mean squared error from before to after, which are
// the same answers in the same order.
func gain(before, after []pair, b Bootstrap) agreement.Estimate {
	type change struct {
		group int
		by    float64
	}
	changes := make([]change, len(before))
	for i := range before {
		was, is := before[i].score-before[i].human, after[i].score-after[i].human
		changes[i] = change{before[i].group, was*was - is*is}
	}
	return estimates(changes, func(c *change) int { return c.group }, b, []statistic[change]{
		{"gain", func(s []change, _ []int) agreement.Figure {
			return agreement.Mean(column(s, func(c *change) float64 { return c.by }))
		}},
	})[0].Estimate
}

// Print writes what calibrating found for a person.
func (c *Calibrated) Print(w io.Writer) error {
	p := &printer{}
	p.f("\nCalibration of %s", count(c.Questions, "question"))
	if c.Skipped > 0 {
		p.f(" (%d have too few scored answers)", c.Skipped)
	}
	p.f(", on %s held out in %d parts\n", count(c.Answers, "answer"), folds)
	if c.Answers > 0 {
		p.f("  %-32s %8s   %8s\n", "", "before", "after")
		for _, name := range []string{"pearson", "pearson_per_question", "qwk", "f1_2", "mae", "rmse", "bias"} {
			l := labels[name]
			show := func(f agreement.Figure) string { return f.String() }
			if l.points {
				show = func(f agreement.Figure) string { return points(f, name == "bias") }
			}
			p.f("  %-32s %8s   %8s\n", l.text, show(c.Before.Get(name).Value), show(c.After.Get(name).Value))
		}
		p.f("  %-32s %8s", "mean squared error falls by", c.Gain.Value)
		if c.Gain.Low.Defined() {
			p.f("   %s to %s", c.Gain.Low, c.Gain.High)
		}
		p.f("\n")
	}
	_, err := io.WriteString(w, p.String())
	return err
}
