package api

// MaxAnswer is the longest answer that is graded, in Unicode code points.
const MaxAnswer = 20_000

// MaxBody is the largest request body, in bytes. An answer of MaxAnswer code
// points takes 240 000 bytes when every one is an escaped surrogate pair; the
// rest is room for an inline question.
const MaxBody = 512 << 10

// Detail says how much of the feedback a caller wants. The zero value means
// DetailFull.
type Detail string

// Nudge names topics only, hint says what to add, full gives sentence starters.
const (
	DetailNudge Detail = "nudge"
	DetailHint  Detail = "hint"
	DetailFull  Detail = "full"
)

// Judges a caller can ask for. The zero value means JudgeAuto: the model where
// one is configured, else lexical.
const (
	JudgeAuto    = "auto"
	JudgeModel   = "model"
	JudgeLexical = "lexical"
)

// GradeRequest asks for the grade of one answer to one question, which is named
// by QuestionID or given as Question.
type GradeRequest struct {
	// QuestionID is SET/QUESTION.
	QuestionID string    `json:"question_id,omitempty" minLength:"1" doc:"SET/QUESTION of a known question. Give this or question." example:"lead-platform-engineer/first-90-days"`
	Question   *Question `json:"question,omitempty" doc:"A question of your own. Give this or question_id."`
	// Answer has at most MaxAnswer code points. A blank answer is graded too.
	Answer string `json:"answer" maxLength:"20000" doc:"The answer exactly as written; offsets in the grade count its Unicode code points. A blank answer is graded." example:"I would first agree with the teams on what hurts, then measure lead time and ship one paved road."`
	// Judge is JudgeAuto, JudgeModel or JudgeLexical.
	Judge string `json:"judge,omitempty" enum:"auto,model,lexical" doc:"Who reads the answer; auto is the model where one is configured."`
	// Fallback "lexical" lets the lexical judge stand in when the model cannot
	// be asked; without it that is a 503.
	Fallback string `json:"fallback,omitempty" enum:"lexical" doc:"Let the lexical judge stand in when the model cannot be asked. The grade then says it is degraded."`
	Detail   Detail `json:"detail,omitempty" enum:"nudge,hint,full" doc:"How much of the feedback to give; full where left out."`
}

// Question is a question in the shape that question sets have. Only Question
// and the criteria's ids and statements are needed.
type Question struct {
	ID           string      `json:"id,omitempty" maxLength:"64" pattern:"^[A-Za-z0-9][A-Za-z0-9_.-]*$"`
	Kind         string      `json:"kind,omitempty" enum:"technical,behavioural,motivational"`
	Question     string      `json:"question" minLength:"1" maxLength:"8000" pattern:"\\S" doc:"What is asked."`
	Intent       string      `json:"intent,omitempty" maxLength:"2000" doc:"What the interviewer is trying to learn; shown, never scored."`
	Guidance     string      `json:"guidance,omitempty" maxLength:"20000"`
	SampleAnswer string      `json:"sample_answer,omitempty" maxLength:"20000" doc:"One good answer; others count as well."`
	Criteria     []Criterion `json:"criteria" nullable:"false" minItems:"1" maxItems:"50"`
}

// Criterion is one observable claim that an answer earns points for.
type Criterion struct {
	ID        string `json:"id" minLength:"1" maxLength:"64" pattern:"^[A-Za-z0-9][A-Za-z0-9_.-]*$" doc:"Of the question's own; no two are the same."`
	Statement string `json:"statement" minLength:"1" maxLength:"2000" pattern:"\\S" doc:"One observable claim."`
	// Weight is in points, never 0. Core weights may be any positive numbers and
	// are scaled to add up to 100; a pitfall's is negative; nil means not given.
	Weight  *float64 `json:"weight,omitempty" nullable:"false" doc:"Points, not 0. Core weights may be any positive numbers and are scaled to add up to 100; one that is left out is the mean of the others. A pitfall's is negative."`
	Partial string   `json:"partial,omitempty" maxLength:"2000" doc:"What earns half."`
	Hint    string   `json:"hint,omitempty" maxLength:"2000" doc:"What to say to someone who missed it."`
	Phrases []string `json:"phrases,omitempty" nullable:"false" maxItems:"100" doc:"Other words for the same thing, of at most 300 characters each."`
	Kind    string   `json:"kind,omitempty" enum:"core,bonus,pitfall"`
	Signal  string   `json:"signal,omitempty" enum:"quantified,own_actions,past_event,prioritised" doc:"A detector that the lexical judge uses instead of overlap."`
}
