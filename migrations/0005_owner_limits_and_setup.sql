-- Each reason for which the use of an ended personal access token is already in the record, as a JSON array: an
-- attacker who has the text of such a token could otherwise fill its owner's record.
ALTER TABLE access_token ADD COLUMN recorded_refusals TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(recorded_refusals));

-- Tokens that an owner made today are counted, revoked ones included.
CREATE INDEX access_token_made ON access_token (owner_id, made_ms);

-- Why set-up is closed: the code was `used`, an administering role was `held`, or an operator `voided` the code.
ALTER TABLE setup ADD COLUMN reason TEXT NOT NULL DEFAULT 'used';
