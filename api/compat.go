package api

// compatible are the routes that answer as other networks' programs expect.
func (s *server) compatible() []handler { return nil }
