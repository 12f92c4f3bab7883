package app

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/gradus-ai/gradus/internal/calibration"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// errStale is wrapped by what New says of a calibration none of whose questions
// is asked any more as it was.
var errStale = errors.New("every question in it has changed or is not loaded")

// loadCalibration reads the file that the operator named; nil for no name.
func loadCalibration(name string) (*calibration.File, error) {
	if name == "" {
		return nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w: load the calibration: %w", ErrSetting, err)
	}
	file, err := calibration.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w: load %s: %w", ErrSetting, name, err)
	}
	return file, nil
}

// useCalibration says what the calibration corrects and what it no longer fits,
// now and whenever the rubrics are loaded again. It refuses one that fits no
// question at all.
func (a *App) useCalibration() error {
	if a.calibration == nil {
		return nil
	}
	stale := a.stale()
	if n := len(a.calibration.Questions); len(stale) == n {
		return fmt.Errorf("%w: load %s: %w; fit it again with gradus eval GOLD.jsonl --calibrate", ErrSetting, a.cfg.Calibration, errStale)
	}
	a.log.Info("scores are calibrated", "file", a.cfg.Calibration, "digest", a.calibration.Digest(),
		"questions", len(a.calibration.Questions)-len(stale))
	a.reportStale(stale)
	a.shelf.reloaded = func(err error) {
		if now := a.stale(); err == nil && !slices.Equal(now, stale) {
			stale = now
			a.reportStale(stale)
		}
	}
	return nil
}

// stale lists the calibrated questions of loaded sets that are not what they
// were: their digests have changed, or they are gone. What comes with a request
// (set "inline") is not known beforehand.
func (a *App) stale() []string {
	var out []string
	for digest, c := range a.calibration.Questions {
		if strings.HasPrefix(c.Question, rubric.InlineSet+"/") {
			continue
		}
		q, err := a.shelf.library.Find(c.Question)
		if err != nil || q.Digest() != digest {
			out = append(out, c.Question)
		}
	}
	slices.Sort(out)
	return out
}

func (a *App) reportStale(questions []string) {
	if len(questions) > 0 {
		a.log.Warn("these questions have changed or are not loaded since they were calibrated: their scores stay as they are",
			"file", a.cfg.Calibration, "questions", questions)
	}
}
