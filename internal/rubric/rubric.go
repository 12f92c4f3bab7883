// Package rubric holds question sets: what is asked, and which observable
// claims an answer earns points for.
//
// It parses sets strictly (every fault names its file and line), validates
// them, gives every question a digest and finds a question by its reference.
// It reads from an fs.FS and knows nothing of disks, judges, grades or HTTP.
//
// The ways in are Parse for one YAML file, LoadFS for a folder of them and
// Inline for a question that a caller wrote. All three accept only what can be
// graded and answer everything else with Faults. Whether an accepted set is
// also well written is what Lint says.
package rubric

// Version is the version of the set format that this package reads.
const Version = 1

// InlineSet is the set id in the Ref of inline questions; no file may use it.
const InlineSet = "inline"

// Kind says what a question asks for; it decides which form rules apply.
type Kind string

// The kinds of question.
const (
	Technical    Kind = "technical"
	Behavioural  Kind = "behavioural"
	Motivational Kind = "motivational"
)

// CriterionKind says how a criterion enters the score.
type CriterionKind string

// The kinds of criterion. Core weights of a question add up to 100, bonus
// criteria add a few points and are never reported as missing, pitfalls carry
// a negative weight and cost points when an answer shows them.
const (
	Core    CriterionKind = "core"
	Bonus   CriterionKind = "bonus"
	Pitfall CriterionKind = "pitfall"
)

// Signal names a detector that the lexical judge uses in place of overlap for
// a criterion that is about form rather than topic.
type Signal string

// The signals: a number that measures a result, the candidate's own deeds, an
// event that happened, an order of steps. The zero value means overlap.
const (
	Quantified  Signal = "quantified"
	OwnActions  Signal = "own_actions"
	PastEvent   Signal = "past_event"
	Prioritised Signal = "prioritised"
)

// Kinds, CriterionKinds and Signals are the menus, in the order shown to people.
var (
	Kinds          = []Kind{Technical, Behavioural, Motivational}
	CriterionKinds = []CriterionKind{Core, Bonus, Pitfall}
	Signals        = []Signal{Quantified, OwnActions, PastEvent, Prioritised}
)

// Set is one file of questions. It is immutable once loaded.
type Set struct {
	Version   int         `yaml:"version" json:"version"`
	ID        string      `yaml:"id" json:"id"`
	Title     string      `yaml:"title" json:"title"`
	Questions []*Question `yaml:"questions" json:"questions"`

	digest string
	path   string
	// places maps JSON pointers to where they stand in the file, for Lint.
	places map[string]place
}

// Path is the name of the file that the set was read from.
func (s *Set) Path() string { return s.path }

// Question returns the question with this local id, or nil.
func (s *Set) Question(id string) *Question {
	for _, q := range s.Questions {
		if q.ID == id {
			return q
		}
	}
	return nil
}

// Question is one question with everything needed to grade an answer to it.
// It is immutable once loaded: judges keep compiled forms under its digest.
type Question struct {
	// Ref is SET/QUESTION, set when the question is loaded. That of an inline
	// question is "inline/" and its id, or the first 12 hex digits of its
	// digest where it has none.
	Ref string `yaml:"-" json:"-"`

	ID           string      `yaml:"id" json:"id"`
	Kind         Kind        `yaml:"kind" json:"kind,omitempty"`
	Text         string      `yaml:"question" json:"question"`
	Intent       string      `yaml:"intent" json:"intent,omitempty"`
	Guidance     string      `yaml:"guidance" json:"guidance,omitempty"`
	SampleAnswer string      `yaml:"sample_answer" json:"sample_answer,omitempty"`
	Criteria     []Criterion `yaml:"criteria" json:"criteria"`

	digest string
}

// Criterion returns the criterion with this id, or nil.
func (q *Question) Criterion(id string) *Criterion {
	for i := range q.Criteria {
		if q.Criteria[i].ID == id {
			return &q.Criteria[i]
		}
	}
	return nil
}

// Criterion is one observable claim.
type Criterion struct {
	ID        string `yaml:"id" json:"id"`
	Statement string `yaml:"statement" json:"statement"`
	// Weight is in points. Core weights are positive and, once a question is
	// loaded, add up to 100 (an inline question's are scaled); bonus weights
	// are positive, pitfall weights negative.
	Weight  float64       `yaml:"weight" json:"weight,omitempty"`
	Partial string        `yaml:"partial" json:"partial,omitempty"`
	Hint    string        `yaml:"hint" json:"hint,omitempty"`
	Phrases []string      `yaml:"phrases" json:"phrases,omitempty"`
	Kind    CriterionKind `yaml:"kind" json:"kind,omitempty"`
	Signal  Signal        `yaml:"signal" json:"signal,omitempty"`
}
