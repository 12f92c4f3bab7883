package grading

import (
	"crypto/sha256"
	"fmt"
	"strconv"

	"github.com/gradus-ai/gradus/internal/calibration"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// Identity says what scores depend on apart from question and answer.
type Identity struct {
	// Judge covers the judge with its models, prompts and settings, and the
	// rules of this package; no tenant, no calibration.
	Judge string
	// Calibration is the digest of the file that corrects this judge's scores;
	// empty where none does.
	Calibration string
}

// Identify names the judge that a caller asks for: Auto (or empty), Model or
// Lexical. The error is ErrNoModel.
func (s *Service) Identify(name string) (Identity, error) {
	chosen, err := s.judge(name)
	if err != nil {
		return Identity{}, err
	}
	id := Identity{Judge: identity(chosen)}
	if s.corrects(chosen) {
		id.Calibration = s.cfg.Calibration.Digest()
	}
	return id, nil
}

func identity(j judge.Judge) string {
	h := sha256.New()
	for _, part := range []string{strconv.Itoa(rulesVersion), j.Name(), j.Fingerprint(), j.PromptDigest()} {
		writePart(h, part)
	}
	var sum [sha256.Size]byte
	return "ju_" + idEncoding.EncodeToString(h.Sum(sum[:0])[:idBytes])
}

// checkCalibration refuses corrections that were fitted for another judge.
func (s *Service) checkCalibration() error {
	file := s.cfg.Calibration
	if file == nil {
		return nil
	}
	running, err := s.judge(Auto)
	switch {
	case err != nil:
		return err
	case file.JudgeID == identity(running):
		return nil
	case file.Judge != running.Name():
		return fmt.Errorf("%w: for the %s judge, and the %s judge is running", calibration.ErrOtherJudge, file.Judge, running.Name())
	default:
		return fmt.Errorf("%w: the %s judge had other models, prompts or settings, or was of another version", calibration.ErrOtherJudge, running.Name())
	}
}

// corrects reports whether the scores of a judge are corrected: those of the
// default judge, which New has checked.
func (s *Service) corrects(chosen judge.Judge) bool {
	if s.cfg.Calibration == nil {
		return false
	}
	running, err := s.judge(Auto)
	return err == nil && running.Name() == chosen.Name()
}

// correction is what moves a judge's scores of a question; nil for nothing.
func (s *Service) correction(q *rubric.Question, chosen judge.Judge) *calibration.Correction {
	if !s.corrects(chosen) {
		return nil
	}
	return s.cfg.Calibration.For(q.Digest())
}
