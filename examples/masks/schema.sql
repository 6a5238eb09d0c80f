-- Employees. Two of them have the same bank account.
CREATE TABLE employees (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  email TEXT NOT NULL,
  phone TEXT,
  birth_date TEXT NOT NULL,
  salary INTEGER NOT NULL,
  iban TEXT NOT NULL,
  review TEXT
);

INSERT INTO employees VALUES
  (1, 'Ines Almeida', 'ines.almeida@example.com', '+49 40 5550142', '1984-03-09', 58200, 'DE02120300000000202051', 'Wants to lead a team.'),
  (2, 'Jonas Berg', 'jonas.berg@example.com', '+49 40 5550177', '1991-11-30', 47900, 'DE02500105170137075030', NULL),
  (3, 'Maya Chen', 'maya.chen@example.com', NULL, '1978-07-21', 71400, 'DE02120300000000202051', 'Leaves in autumn.');
