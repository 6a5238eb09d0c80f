// Masks: HR sees employees as they are; analysts see the same rows with personal columns masked, and no reviews.
import { defineGatehouse, mask } from "../../src/config/define-gatehouse.ts";

export default defineGatehouse({
  organisation: { name: "Example Ltd", contact: "it@example.com" },
  sources: {
    staff: {
      kind: "d1",
      binding: "EXAMPLE_DB",
      title: "Staff",
      description: "Employees of Example Ltd",
      tables: {
        employees: {
          description: "One row per employee",
          key: "id",
          columns: {
            id: { type: "integer", description: "Employee number" },
            name: { type: "text", description: "Full name" },
            email: { type: "text", description: "Email address" },
            phone: { type: "text", description: "Phone number" },
            birth_date: { type: "date", description: "Date of birth" },
            salary: { type: "integer", description: "Yearly salary in euros" },
            iban: { type: "text", description: "Bank account that the salary is paid to" },
            review: { type: "text", description: "Notes of the last yearly review" },
          },
        },
      },
    },
  },
  roles: {
    hr: {
      description: "Sees everything about employees",
      rules: [{ action: "read", datasets: ["staff.employees"] }],
    },
    analyst: {
      description: "Sees employees with personal data masked",
      rules: [
        {
          action: "read",
          datasets: ["staff.employees"],
          masks: {
            name: mask.redact,
            email: mask.email,
            phone: mask.last(3),
            birth_date: mask.year,
            salary: mask.bucket(10_000),
            // Equal accounts have equal masking tokens, so an analyst can count and join by them.
            iban: mask.token("iban"),
          },
          // For an analyst this column does not exist.
          hidden: ["review"],
        },
      ],
    },
  },
  members: [
    { email: "hana@example.com", name: "Hana", roles: ["hr"] },
    { email: "leo@example.com", name: "Leo", roles: ["analyst"] },
  ],
});
