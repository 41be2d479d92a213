import { z } from 'zod';

export const memberNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$/, 'a member name has 1 to 40 letters, digits, "-" or "_"');
