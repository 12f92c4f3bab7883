package api

// SetSummary is a question set with the questions in file order.
type SetSummary struct {
	ID        string            `json:"id" example:"lead-platform-engineer"`
	Title     string            `json:"title"`
	Digest    string            `json:"digest" doc:"sha256:HEX of the whole set."`
	Questions []QuestionSummary `json:"questions" nullable:"false" doc:"In file order."`
}

// QuestionSummary is a question as a list shows it. ID is local to the set.
type QuestionSummary struct {
	ID       string `json:"id" doc:"Local to the set; elsewhere it is written SET/QUESTION." example:"first-90-days"`
	Kind     string `json:"kind" enum:"technical,behavioural,motivational"`
	Question string `json:"question"`
}

// QuestionView is one question with its criteria. SampleAnswer is empty unless
// it was asked for.
type QuestionView struct {
	ID           string      `json:"id"`
	QuestionID   string      `json:"question_id" doc:"SET/QUESTION."`
	Digest       string      `json:"digest" doc:"sha256:HEX of the question."`
	Kind         string      `json:"kind" enum:"technical,behavioural,motivational"`
	Question     string      `json:"question"`
	Intent       string      `json:"intent"`
	Guidance     string      `json:"guidance"`
	SampleAnswer string      `json:"sample_answer,omitempty" doc:"Only with include=sample_answer."`
	Criteria     []Criterion `json:"criteria" nullable:"false"`
}
